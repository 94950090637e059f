//! What comes from Debian: tools that tests need, and servers that are measured beside ours.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{Failed, first_line, output};

/// Packages that tests need, and a program of each.
const TOOLS: [(&str, &str); 2] = [("wrk", "wrk"), ("nghttp2-client", "h2load")];

/// Servers for the comparison: packages that are named like their program.
const SERVERS: [&str; 2] = ["nginx", "nats-server"];

/// Installs the tools that are missing, if we may.
pub(crate) fn install_tools() -> Result<(), Failed> {
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|(_, program)| !on_path(program))
        .map(|(package, _)| package)
        .collect();
    let programs = TOOLS.map(|(_, program)| program).join(" and ");
    install(&missing, &format!("put {programs} on the PATH"))
}

/// Installs packages, if we may. Where Debian's packages are not to be had, the error tells to do `otherwise`.
pub(crate) fn install(missing: &[&str], otherwise: &str) -> Result<(), Failed> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let how = format!("as root: apt-get install --no-install-recommends {names}");
    if !on_path("apt-get") {
        return Err(Failed(format!("missing: {names}, and there is no apt-get; {otherwise}")));
    }
    if !root() {
        return Err(Failed(format!("missing: {names}; run {how}")));
    }
    println!("==> {names} from Debian");
    let mut install = apt_get(&["install", "-y", "--no-install-recommends"]);
    install.args(missing);
    with_lists(&mut install)
        .map_err(|Failed(why)| Failed(format!("missing: {names}; {why}; run {how}")))
}

/// Fetches the servers that are missing, and tells why one could not be had, as `<server>: <why>`.
///
/// They are unpacked, not installed: that needs no root, starts no service, now or at the next boot, and opens no port.
pub(crate) fn fetch_servers() -> Vec<String> {
    let missing = SERVERS.into_iter().filter(|server| !on_path(server));
    missing
        .filter_map(|server| unpack(server).err().map(|Failed(why)| format!("{server}: {why}")))
        .collect()
}

/// Where to look for programs: as ever, where Debian has servers, and where ours are unpacked.
pub(crate) fn path() -> OsString {
    let before = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&before).chain(["/usr/sbin".into(), folder().join("usr/sbin")]);
    env::join_paths(all).expect("folders without a colon")
}

fn on_path(program: &str) -> bool {
    env::split_paths(&path()).any(|folder| folder.join(program).is_file())
}

fn folder() -> PathBuf {
    crate::root().join("target/debian")
}

fn unpack(package: &str) -> Result<(), Failed> {
    if !on_path("apt-get") {
        return Err(Failed(
            "is not installed, and there is no apt-get to fetch it with".to_string(),
        ));
    }
    println!("==> {package} from Debian");
    let archives = folder().join(package);
    let failed = |error: std::io::Error| Failed(format!("{}: {error}", archives.display()));
    fs::create_dir_all(&archives).map_err(failed)?;
    with_lists(apt_get(&["download", package]).current_dir(&archives))?;
    for entry in fs::read_dir(&archives).map_err(failed)? {
        let archive = entry.map_err(failed)?.path();
        output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(folder()))?;
    }
    fs::remove_dir_all(&archives).map_err(failed)?;
    if on_path(package) {
        Ok(())
    } else {
        Err(Failed(format!("Debian's package {package} has no program of that name")))
    }
}

/// Runs a command of apt-get, once more with new lists of packages if it fails: images often come without, and old ones name
/// files that are gone.
fn with_lists(command: &mut Command) -> Result<(), Failed> {
    let Err(first) = output(command) else { return Ok(()) };
    if !root() {
        return Err(first);
    }
    output(&mut apt_get(&["update"]))?;
    output(command)
}

/// It asks nothing.
fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn root() -> bool {
    first_line("id", &["-u"]).as_deref() == Some("0")
}
