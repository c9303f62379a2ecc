//! A TCP proxy that misbehaves when told to: it delays, falls silent without a word, cuts, closes one half, and leads
//! elsewhere. For tests of what stands on a network; two threads for each connection, which is no way to serve.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Connections at once; further ones are closed at once.
pub const LINKS_MAX: usize = 256;
/// Bytes that are passed on at once.
const CHUNK: usize = 1 << 20;
/// How often a thread that waits looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(5);
/// Time for a connection to the other side to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A proxy on a free loopback port. Dropped, it cuts everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    links: Mutex<Vec<Arc<Link>>>,
    /// Whether new connections are stalled from their beginning.
    stalls_new: AtomicBool,
    delay_ms: AtomicU64,
    accepted: AtomicU64,
    closing: AtomicBool,
}

/// A connection through the proxy.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    stalled: AtomicBool,
    ended: AtomicBool,
}

impl Proxy {
    /// Starts a proxy to this address.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            links: Mutex::default(),
            stalls_new: AtomicBool::new(false),
            delay_ms: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let accepting = thread::Builder::new().name("proxy".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections made so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Relaxed)
    }

    /// Leads new connections to another address.
    pub fn retarget(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Passes everything on so much later, in both directions.
    pub fn delay(&self, by: Duration) {
        self.shared.delay_ms.store(by.as_millis() as u64, Relaxed);
    }

    /// Swallows what the present connections say, without closing any, as a network does that lost its way; with
    /// `new_too` those to come as well.
    pub fn stall(&self, new_too: bool) {
        self.shared.stalls_new.store(new_too, Relaxed);
        self.shared.links().iter().for_each(|link| link.stalled.store(true, Relaxed));
    }

    /// Passes on again, what was held back first.
    pub fn resume(&self) {
        self.shared.stalls_new.store(false, Relaxed);
        self.shared.links().iter().for_each(|link| link.stalled.store(false, Relaxed));
    }

    /// Ends every connection on both sides.
    pub fn cut(&self) {
        self.shared.links().iter().for_each(|link| link.cut());
    }

    /// Tells the clients of the present connections that nothing more will come, and goes on taking what they send.
    pub fn half_close(&self) {
        for link in self.shared.links().iter() {
            // It may have ended by itself.
            let _ = link.client.shutdown(Shutdown::Write);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Relaxed);
        self.cut();
        if let Some(accepting) = self.accepting.take() {
            // It has no result.
            let _ = accepting.join();
        }
        // One may have come in meanwhile.
        self.cut();
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.closing.load(Relaxed) {
            match listener.accept() {
                Ok((client, _)) => {
                    self.accepted.fetch_add(1, Relaxed);
                    // One that cannot be connected is closed again, as if nobody listened.
                    let _ = self.link(client);
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    fn link(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let mut links = self.links();
        links.retain(|link| !link.ended.load(Relaxed));
        if links.len() >= LINKS_MAX {
            return Ok(());
        }
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let server = TcpStream::connect_timeout(&target, CONNECT_MAX)?;
        for stream in [&client, &server] {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(POLL))?;
        }
        let stalled = AtomicBool::new(self.stalls_new.load(Relaxed));
        let (to_server, to_client) =
            ((client.try_clone()?, server.try_clone()?), (server.try_clone()?, client.try_clone()?));
        let link = Arc::new(Link { client, server, stalled, ended: AtomicBool::new(false) });
        for (from, to) in [to_server, to_client] {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            thread::Builder::new().name("proxy".into()).spawn(move || shared.pump(&link, from, to))?;
        }
        links.push(link);
        Ok(())
    }

    /// Passes on one direction until it ends.
    fn pump(&self, link: &Link, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.wait_while_stalled(link);
            match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => {
                    thread::sleep(Duration::from_millis(self.delay_ms.load(Relaxed)));
                    self.wait_while_stalled(link);
                    if to.write_all(&chunk[..length]).is_err() {
                        break link.cut();
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.closing.load(Relaxed) || link.ended.load(Relaxed) {
                        break link.cut();
                    }
                }
                Err(_) => break link.cut(),
            }
        }
        // The other direction may go on.
        let _ = to.shutdown(Shutdown::Write);
    }

    fn wait_while_stalled(&self, link: &Link) {
        while link.stalled.load(Relaxed) && !link.ended.load(Relaxed) && !self.closing.load(Relaxed) {
            thread::sleep(POLL);
        }
    }
}

impl Link {
    fn cut(&self) {
        self.ended.store(true, Relaxed);
        for stream in [&self.client, &self.server] {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Patience with a slow machine.
    const LONG: Duration = Duration::from_secs(20);

    /// A server that answers every byte with `answer`.
    fn answering(answer: u8) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&[answer]).is_ok() {}
                });
            }
        });
        address
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn ask(stream: &mut TcpStream) -> io::Result<u8> {
        stream.write_all(b"?")?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    #[test]
    fn it_passes_on_and_delays() {
        let proxy = Proxy::start(answering(b'a')).unwrap();
        let mut stream = client(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), b'a');
        proxy.delay(Duration::from_millis(100));
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).unwrap(), b'a');
        assert!(asked.elapsed() >= Duration::from_millis(200), "both ways");
        assert_eq!(proxy.accepted(), 1);
    }

    #[test]
    fn what_is_stalled_keeps_silent_until_it_is_resumed_while_others_pass() {
        let proxy = Proxy::start(answering(b'a')).unwrap();
        let mut silent = client(&proxy);
        assert_eq!(ask(&mut silent).unwrap(), b'a');
        proxy.stall(false);
        assert_eq!(ask(&mut client(&proxy)).unwrap(), b'a');
        silent.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let error = ask(&mut silent).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            "{error}: not closed, just silent"
        );
        proxy.stall(true);
        let mut new = client(&proxy);
        new.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(ask(&mut new).is_err());
        proxy.resume();
        silent.set_read_timeout(Some(LONG)).unwrap();
        let mut byte = [0];
        silent.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], b'a', "what was held back arrives");
    }

    #[test]
    fn what_is_cut_ends_and_new_connections_go_where_they_are_led() {
        let proxy = Proxy::start(answering(b'a')).unwrap();
        let mut stream = client(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), b'a');
        proxy.retarget(answering(b'b'));
        assert_eq!(ask(&mut stream).unwrap(), b'a', "it leads where it led");
        proxy.cut();
        assert!(ask(&mut stream).is_err());
        assert_eq!(ask(&mut client(&proxy)).unwrap(), b'b');
    }

    #[test]
    fn a_half_closed_connection_ends_for_its_reader() {
        let proxy = Proxy::start(answering(b'a')).unwrap();
        let mut stream = client(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), b'a');
        proxy.half_close();
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 0);
    }

    #[test]
    fn nobody_behind_it_is_a_closed_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nowhere = listener.local_addr().unwrap();
        drop(listener);
        let proxy = Proxy::start(nowhere).unwrap();
        assert!(ask(&mut client(&proxy)).is_err());
    }
}
