//! A network that does its worst: a TCP proxy that delays, freezes and cuts, also in one direction,
//! and lets nobody in.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::DEADLINE;

/// What the network does with bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Each piece takes so long, both ways.
    Slow(Duration),
    /// Connections stay, and nothing comes through.
    Frozen,
    /// The server is heard, and hears nothing.
    Deaf,
    /// Each second all connections end.
    Flapping,
    /// Nobody is let in.
    Down,
}

pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    weather: Mutex<Weather>,
    changed: Condvar,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// A proxy to a server that need not be there yet.
    pub fn new(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to,
            weather: Mutex::new(Weather::Fair),
            changed: Condvar::new(),
            sockets: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let flapping = Arc::downgrade(&shared);
        thread::spawn(move || {
            while let Some(shared) = flapping.upgrade() {
                if *shared.weather.lock().unwrap() == Weather::Flapping {
                    shared.cut();
                }
                drop(shared);
                thread::sleep(Duration::from_secs(1));
            }
        });
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                accepting.accept(socket);
            }
        });
        Self { address, shared }
    }

    pub fn set(&self, weather: Weather) {
        *self.shared.weather.lock().unwrap() = weather;
        self.shared.changed.notify_all();
        if weather == Weather::Down {
            self.cut();
        }
    }

    /// Ends all connections, in the middle of whatever is said.
    pub fn cut(&self) {
        self.shared.cut();
    }
}

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl Shared {
    fn cut(&self) {
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        if *self.weather.lock().unwrap() == Weather::Down {
            return;
        }
        let Ok(server) = TcpStream::connect_timeout(&self.to, DEADLINE) else {
            return;
        };
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
            let kept = socket.try_clone().unwrap();
            self.sockets.lock().unwrap().push(kept);
        }
        let ways = [
            (
                client.try_clone().unwrap(),
                server.try_clone().unwrap(),
                Way::ToServer,
            ),
            (server, client, Way::ToClient),
        ];
        for (from, to, way) in ways {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(from, to, way));
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            self.endure(way);
            if to.write_all(&piece[..count]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits as the weather demands.
    fn endure(&self, way: Way) {
        let weather = self.weather.lock().unwrap();
        let is_frozen = |weather: &mut Weather| match weather {
            Weather::Frozen => true,
            Weather::Deaf => way == Way::ToServer,
            Weather::Fair | Weather::Slow(_) | Weather::Flapping | Weather::Down => false,
        };
        let weather = *self.changed.wait_while(weather, is_frozen).unwrap();
        if let Weather::Slow(piece) = weather {
            thread::sleep(piece);
        }
    }
}
