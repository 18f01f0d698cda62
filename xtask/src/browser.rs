//! The browser test's runner: serves its page on the loopback interface, opens it in a headless Chromium and prints what the page
//! sends back. Needs neither Node.js nor a WebDriver.

use crate::environment::{Environment, TemporaryFolder};
use crate::process::{find_program, root};
use crate::{say, wasm};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Names a browser of Chromium's family, if it is not where such browsers usually are.
pub const VARIABLE: &str = "CLUSTERED_ATTENTION_BROWSER";
/// The page fails when it sends nothing for this long.
const PATIENCE: Duration = Duration::from_secs(300);
/// Software WebGPU without a word to any other machine.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--enable-unsafe-webgpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--no-default-browser-check",
    "--no-first-run",
];

/// Runs the browser test; fails if anything in it does.
pub fn test(environment: &Environment) -> Result<()> {
    let browser = find().with_context(|| format!("no Chromium, Chrome or Edge was found; {VARIABLE} can name one"))?;
    let temporary = TemporaryFolder::new("browser")?;
    let folder = temporary.path().to_path_buf();
    wasm::BROWSER_TEST.write_bindings(environment, &folder)?;
    std::fs::copy(root().join("tests/browser/page.html"), folder.join("page.html")).context("cannot copy the page")?;

    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on the loopback interface")?;
    let address = format!("http://{}/page.html", listener.local_addr()?);
    let (sender, receiver) = mpsc::channel();
    let served = folder.clone();
    // The thread ends with the process: `accept` has no time limit.
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (served, sender) = (served.clone(), sender.clone());
            std::thread::spawn(move || serve(connection, &served, &sender));
        }
    });

    say!("{} opens {address}", browser.display())?;
    let log = folder.join("browser.log");
    let mut command = Command::new(&browser);
    command.args(ARGUMENTS).arg(format!("--user-data-dir={}", folder.join("profile").display()));
    if cfg!(target_os = "linux") {
        // The sandbox needs rights that root in a container and some distributions' users lack; the page is our own.
        command.arg("--no-sandbox");
    }
    let log_file = std::fs::File::create(&log)?;
    command.arg(&address).envs(environment.variables()).stdin(Stdio::null());
    command.stdout(log_file.try_clone()?).stderr(log_file);
    let mut running = Running(command.spawn().with_context(|| format!("cannot start {}", browser.display()))?);

    let mut last = Instant::now();
    let result = loop {
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok(Message::Line(line)) => {
                say!("  {line}")?;
                last = Instant::now();
            }
            Ok(Message::Passed) => break Ok(()),
            Ok(Message::Failed(reason)) => break Err(format!("the page reports: {reason}")),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = running.0.try_wait()? {
                    break Err(format!("the browser ended early ({status})"));
                }
                if last.elapsed() > PATIENCE {
                    break Err(format!("the page sent nothing for {} s", PATIENCE.as_secs()));
                }
            }
            Err(RecvTimeoutError::Disconnected) => break Err("the server ended early".into()),
        }
    };
    drop(running);
    if result.is_err() {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        // Without a desktop's message bus, Chromium complains about that most of all.
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("dbus/")).collect();
        say!("the browser's last words:")?;
        lines[lines.len().saturating_sub(20)..].iter().try_for_each(|line| say!("  {line}"))?;
    }
    result.map_err(anyhow::Error::msg)
}

/// A browser that is stopped when the test ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the page sends.
enum Message {
    Line(String),
    Passed,
    Failed(String),
}

/// Answers one request: a file of the folder, or one of the page's messages.
fn serve(mut connection: TcpStream, folder: &Path, sender: &Sender<Message>) {
    let Some(request) = Request::read(&connection) else { return };
    let message = match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/line") => Some(Message::Line(request.body)),
        ("POST", "/passed") => Some(Message::Passed),
        ("POST", "/failed") => Some(Message::Failed(request.body)),
        _ => None,
    };
    let (status, kind, body) = match (message, request.path.as_str()) {
        (Some(message), _) => {
            let _ = sender.send(message);
            ("204 No Content", "text/plain", vec![])
        }
        (None, path) => {
            let served = [
                ("/page.html", "text/html; charset=utf-8"),
                ("/test.js", "text/javascript"),
                ("/test_bg.wasm", "application/wasm"),
            ];
            let file = served.iter().find(|(name, _)| *name == path);
            match file.and_then(|(name, kind)| Some((kind, std::fs::read(folder.join(&name[1..])).ok()?))) {
                Some((kind, body)) => ("200 OK", *kind, body),
                None => ("404 Not Found", "text/plain", vec![]),
            }
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(&body));
}

struct Request {
    method: String,
    path: String,
    body: String,
}

impl Request {
    fn read(stream: impl Read) -> Option<Self> {
        const LARGEST_BODY: usize = 1 << 20;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse::<usize>().ok()?.min(LARGEST_BODY);
                }
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        Some(Self { method, path, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// A browser of Chromium's family.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"];
    let places: Vec<PathBuf> = if cfg!(target_os = "macos") {
        ["Google Chrome", "Chromium", "Microsoft Edge"]
            .iter()
            .map(|name| format!("/Applications/{name}.app/Contents/MacOS/{name}").into())
            .collect()
    } else if cfg!(windows) {
        let programs = ["ProgramFiles", "ProgramFiles(x86)", "LocalAppData"];
        let paths = [r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe"];
        let folders = programs.iter().filter_map(std::env::var_os).map(PathBuf::from);
        folders.flat_map(|folder| paths.map(|path| folder.join(path))).collect()
    } else {
        vec![]
    };
    names.iter().find_map(find_program).or_else(|| places.into_iter().find(|place| place.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_to_the_end_of_their_body() {
        let text = "POST /line HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n\r\nhello and more";
        let request = Request::read(text.as_bytes()).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), request.body.as_str()), ("POST", "/line", "hello"));
        assert!(Request::read("".as_bytes()).is_none());
        assert!(Request::read("POST /line HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe".as_bytes()).is_none());
    }
}
