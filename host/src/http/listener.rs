//! Listeners, where connections come in: a TCP port, or the file of a Unix socket for a proxy on
//! this machine.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::{Peer, Tls};

/// The connections that wait to be accepted: as many as the standard library has it.
const BACKLOG: u32 = 128;

/// A connection as it comes from the system.
pub type Stream = Either<TcpStream, UnixStream>;

/// A place to which clients connect, and how TLS is spoken there.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: Socket,
    /// The TLS settings; `None` for plain HTTP.
    pub tls: Option<Tls>,
}

/// A socket that listens.
#[derive(Debug)]
pub enum Socket {
    /// At an address of the network.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixSocket),
}

/// A Unix socket, whose file is removed when this is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The file's device and inode number: no other file of the same name is removed.
    file: (u64, u64),
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self {
            socket: Socket::Tcp(tcp),
            tls: None,
        }
    }
}

impl Socket {
    /// Returns the address at which it listens; none for a Unix socket.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are one small write each; waiting to fill a packet only delays them.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), Peer::Network(peer)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                Ok((Either::Right(stream), Peer::Unix))
            }
        }
    }
}

impl UnixSocket {
    /// Listens at this path, which gets these permissions. The file of a killed gateway is
    /// replaced. A file is left alone where something answers, or where it is no socket.
    ///
    /// # Errors
    /// What the system said, or `AddrInUse` where the path is taken.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = bound(path, mode)?;
        // The umask may have taken more away.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        let listener = socket.listen(BACKLOG)?;
        let found = fs::symlink_metadata(path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            file: (found.dev(), found.ino()),
        })
    }
}

impl UnixSocket {
    /// Returns the next connection.
    ///
    /// # Errors
    /// What the system said.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the file of a socket, which has never more permissions than these on Linux, where they are
/// those of the socket: no other user can connect between two calls.
fn bound(path: &Path, mode: u32) -> io::Result<tokio::net::UnixSocket> {
    let socket = tokio::net::UnixSocket::new_stream()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_bits_truncate(mode))?;
    socket.bind(path)?;
    #[cfg(not(target_os = "linux"))]
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(socket)
}

/// Removes a socket at which nothing listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            ErrorKind::AddrInUse,
            "there is a file of that name that is no socket",
        ));
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        let first = UnixSocket::bind(&path, 0o660).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        assert_eq!(
            UnixSocket::bind(&path, 0o660).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        // A process that is killed leaves the file.
        let left = std::os::unix::net::UnixListener::bind(folder.path().join("left.sock")).unwrap();
        drop(left);
        let second = UnixSocket::bind(&folder.path().join("left.sock"), 0o600).unwrap();
        drop((first, second));
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            0,
            "they remove their files"
        );
    }

    #[tokio::test]
    async fn socket_is_never_open_to_more_than_its_mode_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        for mode in [0o600, 0o660] {
            let socket = bound(&path, mode).unwrap();
            let found = fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{found:o}");
            drop(socket);
            fs::remove_file(&path).unwrap();
        }
    }

    #[tokio::test]
    async fn file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("important");
        fs::write(&path, "x").unwrap();
        assert_eq!(
            UnixSocket::bind(&path, 0o660).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[tokio::test]
    async fn socket_removes_no_file_but_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.sock");
        let socket = UnixSocket::bind(&path, 0o660).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "x").unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
