//! Where the system refuses io_uring, as in many containers: one line says so, and epoll serves.
// A seccomp filter is how one is refused, and there is no safe way to set it.
#![allow(unsafe_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use grenache_engine::{
    Config, Core, DriverChoice, DriverKind, Runtime, StartError, shutdown, spawn_local,
};

/// Answers `io_uring_setup` with `errno`, on this thread and those that it starts.
fn refuse_io_uring(errno: i32) {
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let (load, equal, answer) = (0x20, 0x15, 0x06);
    let mut program = [
        // The number of the system call is the first word of what the filter sees.
        op(load, 0, 0, 0),
        op(equal, 0, 1, libc::SYS_io_uring_setup as u32),
        op(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        op(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives until both calls are over.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(set, "no filter: {}", std::io::Error::last_os_error());
}

fn start(driver: DriverChoice) -> Result<Runtime<()>, StartError> {
    let tcp = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let config = Config { driver, tcp, cores: 2, ..Config::default() };
    Runtime::start(config, |core: Core<()>| async move {
        spawn_local(async move {
            while let Ok((stream, _)) = core.listeners[0].accept().await {
                if let Ok(Some(bytes)) = stream.recv().await {
                    stream.write(&bytes);
                }
            }
        });
        shutdown().await;
    })
}

#[test]
fn refused_io_uring_is_one_line_and_epoll() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let refused = std::thread::spawn(move || {
            refuse_io_uring(errno);
            let runtime = start(DriverChoice::Auto).expect("it starts on epoll");
            assert_eq!(runtime.driver(), DriverKind::Epoll);
            let notice = runtime.notice().expect("a notice");
            assert!(notice.contains("io_uring") && notice.contains("epoll"), "{notice}");
            assert_eq!(notice.lines().count(), 1, "{notice}");
            assert!(matches!(start(DriverChoice::Uring), Err(StartError::Uring(_))));

            let mut stream = TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
            let mut answer = [0; 4];
            stream.write_all(b"ping").expect("sent");
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"ping");
            runtime.stop();
            runtime.join().expect("no core panics");
        });
        refused.join().expect("the refused thread ends well");
    }
}
