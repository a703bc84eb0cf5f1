//! What makes a data directory and a process themselves: the lock, the token, the build, chance.
//!
//! Promise (P8): whoever else has an account on this machine can neither read a directory that we
//! made nor put a token of theirs into one that we use.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ioc_core::record::BuildHash;
use rustix::fs::OFlags;

use crate::host::HostError;
use crate::inspect::hex;
use crate::telemetry;

/// The console's token, below the data directory: only its owner may read it.
pub const TOKEN_FILE: &str = "console.token";

/// The longest token that is read.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Makes the data directory, for its owner alone, or sees that only its owner and group may write
/// to the one that is there: volumes of an orchestrator belong to a group.
pub fn data_dir(data: &Path) -> Result<(), HostError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(HostError::file("make", data))?;
    let there = fs::metadata(data).map_err(HostError::file("look at", data))?;
    if there.permissions().mode() & 0o002 != 0 {
        let shown = data.display();
        return Err(HostError::Usage(format!(
            "anybody may write to {shown}, and so could forge the console's token: \
             chmod o-w {shown}, or name a directory below it, which is then made for us alone"
        )));
    }
    Ok(())
}

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
    let kept = match read_secret(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(HostError::file("read", &path)(error)),
    };
    if !kept.is_empty() {
        return Ok(kept);
    }
    let token = hex(&random::<16>()?);
    write_secret(&path, &token).map_err(HostError::file("write", &path))?;
    Ok(token)
}

/// Reads a secret that lies in the file itself: a link may lead to what others know or can write.
/// One that others could read is closed to them.
fn read_secret(path: &Path) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.read(true).custom_flags(flags.bits() as i32);
    let file = file.open(path)?;
    let there = file.metadata()?;
    if !there.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if there.permissions().mode() & 0o077 != 0 {
        file.set_permissions(PermissionsExt::from_mode(0o600))?;
        telemetry::secret_was_readable(path);
    }
    let mut text = String::new();
    let read = file.take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > TOKEN_BYTES_MAX {
        return Err(io::Error::other("it is too long to be a token"));
    }
    Ok(text)
}

/// Writes a secret for its owner alone, into the file itself.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
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
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(HostError::Locked { .. })));
        drop(held);
        assert!(lock(dir.path()).is_ok());
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn p8_the_token_is_drawn_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        let token = console_token(dir.path()).unwrap();
        assert_eq!(token.len(), 32);
        assert_eq!(console_token(dir.path()).unwrap(), token);
        assert_eq!(mode(&path), 0o600);
        set_mode(&path, 0o664);
        assert_eq!(console_token(dir.path()).unwrap(), token);
        assert_eq!(mode(&path), 0o600, "it is closed to others again");
    }

    #[test]
    fn p8_a_token_that_lies_elsewhere_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let forged = dir.path().join("forged");
        let data = dir.path().join("data");
        data_dir(&data).unwrap();
        std::os::unix::fs::symlink(&forged, data.join(TOKEN_FILE)).unwrap();
        for there in [None, Some("known to others")] {
            if let Some(text) = there {
                fs::write(&forged, text).unwrap();
            }
            assert!(console_token(&data).is_err(), "{there:?}");
        }
        assert_eq!(fs::read_to_string(&forged).unwrap(), "known to others");
    }

    #[test]
    fn p5_a_token_is_no_longer_than_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        fs::write(&path, "x".repeat(TOKEN_BYTES_MAX as usize + 1)).unwrap();
        assert!(console_token(dir.path()).is_err());
        fs::write(&path, "x".repeat(TOKEN_BYTES_MAX as usize)).unwrap();
        assert!(console_token(dir.path()).is_ok());
    }

    #[test]
    fn p8_a_data_directory_is_made_for_its_owner_and_never_shared_for_writing() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/data");
        data_dir(&data).unwrap();
        assert_eq!(mode(&data), 0o700);
        for shared in [0o777, 0o1777, 0o702] {
            set_mode(&data, shared);
            let refused = data_dir(&data).unwrap_err().to_string();
            assert!(refused.contains("chmod o-w"), "{refused}");
        }
        set_mode(&data, 0o770);
        assert!(data_dir(&data).is_ok(), "the volume of an orchestrator");
    }
}
