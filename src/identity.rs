//! What makes a data directory and a process themselves: the lock, the token, the build, chance.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ioc_core::record::BuildHash;

use crate::host::HostError;
use crate::inspect::hex;

/// The console's token, below the data directory: only its owner may read it.
pub const TOKEN_FILE: &str = "console.token";

/// Takes the data directory for this process; the lock goes with the file.
pub fn lock(data: &Path) -> Result<File, HostError> {
    let path = data.join("LOCK");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let file = file.map_err(HostError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HostError::Locked {
            path: data.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(HostError::file("lock", &path)(error)),
    }
}

/// The token that commands need; drawn when the directory is new.
pub fn console_token(data: &Path) -> Result<String, HostError> {
    let path = data.join(TOKEN_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(HostError::file("read", &path)(error)),
    }
    let token = hex(&random::<16>()?);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path);
    let written = file.and_then(|mut file| {
        writeln!(file, "{token}")?;
        file.sync_all()
    });
    written.map_err(HostError::file("write", &path))?;
    Ok(token)
}

/// The hash of the executable that runs.
pub fn build_hash() -> Result<BuildHash, HostError> {
    let path = std::env::current_exe().map_err(HostError::Start)?;
    let hash = || -> io::Result<BuildHash> {
        let mut file = File::open(&path)?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; 1 << 20];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(BuildHash(*hasher.finalize().as_bytes())),
                read => hasher.update(&chunk[..read]),
            };
        }
    };
    hash().map_err(HostError::file("read", &path))
}

/// Bytes that nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N], HostError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| HostError::Start(io::Error::other(error)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(HostError::Locked { .. })));
        drop(held);
        assert!(lock(dir.path()).is_ok());
    }

    #[test]
    fn the_token_is_drawn_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let token = console_token(dir.path()).unwrap();
        assert_eq!(token.len(), 32);
        assert_eq!(console_token(dir.path()).unwrap(), token);
        let mode = fs::metadata(dir.path().join(TOKEN_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
