//! What the tests need from the system, and how to get it.

use crate::environment::{vulkan_manifests, TemporaryFolder};
use crate::options::Options;
use crate::process::{find_program, output, run};
use crate::{browser, wasm, web};
use anyhow::{bail, Context, Result};
use std::path::Path;
use std::process::Command;

/// Software Vulkan, and OpenGL ES through EGL; all built from Mesa, so all from one suite.
const DRIVERS: [&str; 5] = ["libvulkan1", "mesa-vulkan-drivers", "libegl1", "libgles2", "libgl1-mesa-dri"];
/// The oldest Mesa whose software Vulkan driver is fast.
const FAST_MESA: u32 = 24;

/// Installs what is missing, or says what is.
pub fn setup(options: &Options) -> Result<()> {
    let apt = Apt::find();
    if options.install {
        let from_packages = apt.as_ref().is_some_and(|apt| apt.distribution == "debian" && apt.root == Some(&[]));
        if let Err(error) = wasm::provide(from_packages) {
            println!("note: {error:#}; without it the steps `wasm` and `web` fail");
        }
    }
    if let Some(apt) = apt {
        return apt.setup(options);
    }
    // Windows and macOS bring an adapter of their own (WARP, Metal).
    if cfg!(target_os = "linux") && vulkan_manifests().is_empty() {
        println!("note: no Vulkan driver was found; the tests need one, a software one (Mesa's lavapipe) will do");
    }
    if browser::find().is_none() {
        println!("note: no Chromium, Chrome or Edge was found; the step `browser` needs one ({})", browser::VARIABLE);
    }
    advise_on_the_page();
    Ok(())
}

/// Debian's and Ubuntu's package manager.
struct Apt {
    /// Words before a command that needs root; `None` if root cannot be had.
    root: Option<&'static [&'static str]>,
    /// `debian`, `ubuntu` or a relative.
    distribution: String,
    codename: String,
}

impl Apt {
    fn find() -> Option<Self> {
        find_program("apt-get")?;
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let field = |name: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_string()
        };
        let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
        let root: Option<&[&str]> = if is_root {
            Some(&[])
        } else {
            output(Command::new("sudo").args(["-n", "true"])).map(|_| ["sudo", "-n"].as_slice())
        };
        Some(Self { root, distribution: field("ID"), codename: field("VERSION_CODENAME") })
    }

    fn setup(&self, options: &Options) -> Result<()> {
        let mut missing: Vec<&str> = DRIVERS.into_iter().filter(|package| installed(package).is_none()).collect();
        let lacks_a_driver = !missing.is_empty();
        let can_install = options.install && self.root.is_some();
        let wants_backports = self.codename == "bookworm" && (lacks_a_driver || has_slow_mesa());
        let takes_backports = wants_backports && options.backports && can_install && self.has_backports();
        if takes_backports {
            // One suite for all of Mesa, or its libraries don't fit together.
            missing = DRIVERS.to_vec();
        }
        // Debian's browser is a package; Ubuntu's is a snap, which this leaves to the user.
        let needs_browser = browser::find().is_none();
        let is_debian = self.distribution == "debian";
        let browser = (needs_browser && is_debian).then_some("chromium");
        // The page's tests skip a browser that is not there.
        let firefox = (web::firefox().is_none() && is_debian).then_some("firefox-esr");
        if needs_browser && browser.is_none() {
            println!("note: no Chromium or Chrome was found; the step `browser` needs one: `snap install chromium`, for example");
        }
        if missing.is_empty() && browser.is_none() && firefox.is_none() {
            println!("nothing is missing");
            advise_on_mesa();
            advise_on_the_page();
            return Ok(());
        }
        let packages: Vec<&str> = missing.iter().copied().chain(browser).chain(firefox).collect();
        if !can_install {
            let reason = if options.install {
                "root is needed (no `sudo` without a password here)"
            } else {
                "not asked to install"
            };
            println!("note: {reason}; please run: apt-get install --no-install-recommends {}", packages.join(" "));
            return Ok(());
        }
        let browsers: Vec<&str> = browser.into_iter().chain(firefox).collect();
        match self.install_all(&missing, takes_backports, &browsers) {
            Err(error) if !lacks_a_driver && browsers.is_empty() => {
                println!("note: Mesa stays as it is, since a newer one cannot be had: {error:#}");
            }
            installed => installed?,
        }
        advise_on_mesa();
        advise_on_the_page();
        Ok(())
    }

    fn install_all(&self, drivers: &[&str], from_backports: bool, browsers: &[&str]) -> Result<()> {
        self.apt(&["update", "--quiet"])?;
        if !drivers.is_empty() {
            let backports = self.backports();
            let suite: &[&str] = if from_backports { &["--target-release", &backports] } else { &[] };
            self.install(suite, drivers)?;
        }
        browsers.iter().try_for_each(|browser| self.install(&[], &[browser]))
    }

    fn install(&self, options: &[&str], packages: &[&str]) -> Result<()> {
        self.apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], options, packages].concat())
    }

    fn apt(&self, arguments: &[&str]) -> Result<()> {
        run(&mut self.as_root(&[&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], arguments].concat()))
    }

    fn as_root(&self, words: &[&str]) -> Command {
        let words = [self.root.unwrap_or_default(), words].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    fn backports(&self) -> String {
        format!("{}-backports", self.codename)
    }

    /// Makes sure of the backports of this release; where that fails, says why and leaves the tests a slow driver.
    fn has_backports(&self) -> bool {
        let added = self.add_backports();
        if let Err(error) = &added {
            println!("note: Mesa is taken from the stable suite, since backports cannot be: {error:#}");
        }
        added.is_ok()
    }

    /// Adds the backports of this release, from the mirror that the machine takes Debian from.
    fn add_backports(&self) -> Result<()> {
        let suite = self.backports();
        let texts: Vec<String> = source_files().iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        if texts.iter().any(|text| text.contains(&suite)) {
            return Ok(());
        }
        let entry = texts.iter().find_map(|text| backports_entry(text, &self.codename));
        let entry = entry.context("no source of Debian packages was found to take the backports from")?;
        let target =
            format!("/etc/apt/sources.list.d/{suite}.{}", if entry.starts_with("deb ") { "list" } else { "sources" });
        println!("adding {target}");
        let folder = TemporaryFolder::new("apt")?;
        let file = folder.path().join("source");
        std::fs::write(&file, entry)?;
        let Some(file) = file.to_str() else { bail!("{} is no text", file.display()) };
        run(&mut self.as_root(&["install", "-m", "644", file, &target]))
    }
}

/// Version of a Debian package, if it is installed.
fn installed(package: &str) -> Option<String> {
    let status = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Version}\n", package]))?;
    status.lines().find_map(|line| Some(line.strip_prefix("installed ")?.to_string()))
}

fn has_slow_mesa() -> bool {
    installed("mesa-vulkan-drivers").is_some_and(|version| major(&version) < FAST_MESA)
}

fn advise_on_mesa() {
    if has_slow_mesa() {
        println!("note: Mesa is old and its software Vulkan driver slow; on Debian 12, backports have a newer one, which is taken where root can be had");
    }
}

/// Node.js is left to the user: distributions' own are often too old.
fn advise_on_the_page() {
    if let Err(error) = web::node() {
        println!("note: {error:#}; without it the step `web` fails");
    }
}

/// The first number of a version.
fn major(version: &str) -> u32 {
    let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
    upstream.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn source_files() -> Vec<std::path::PathBuf> {
    let mut files = vec!["/etc/apt/sources.list".into()];
    let folder = Path::new("/etc/apt/sources.list.d").read_dir().into_iter().flatten().flatten();
    files.extend(
        folder
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources")),
    );
    files
}

/// The source entry of a release's backports, made from the release's own entry (one-line or deb822 style).
fn backports_entry(sources: &str, codename: &str) -> Option<String> {
    let backports = format!("{codename}-backports");
    for stanza in sources.split("\n\n") {
        let field =
            |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let (Some(mirror), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        if suites.split_whitespace().any(|suite| suite == codename) {
            let key = field("Signed-By").map(|key| format!("Signed-By: {key}\n")).unwrap_or_default();
            return Some(format!("Types: deb\nURIs: {mirror}\nSuites: {backports}\nComponents: main\n{key}"));
        }
    }
    sources.lines().find_map(|line| {
        let words: Vec<&str> = line.strip_prefix("deb ")?.split_whitespace().collect();
        let suite = words.iter().position(|word| *word == codename)?;
        Some(format!("deb {} {backports} main\n", words[..suite].join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_come_from_the_mirror_in_use() {
        let deb822 = "Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\n\n\
                      Types: deb\n# a remark\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /key\n";
        assert_eq!(
            backports_entry(deb822, "bookworm").unwrap(),
            "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm-backports\nComponents: main\nSigned-By: /key\n"
        );
        let one_line =
            "# deb http://old bookworm main\ndeb [signed-by=/key] http://mirror/debian bookworm main contrib\n";
        assert_eq!(
            backports_entry(one_line, "bookworm").unwrap(),
            "deb [signed-by=/key] http://mirror/debian bookworm-backports main\n"
        );
        assert_eq!(backports_entry("", "bookworm"), None);
    }

    #[test]
    fn versions_have_a_first_number() {
        assert_eq!(major("25.0.7-2~bpo12+1"), 25);
        assert_eq!(major("2:22.3.6-1"), 22);
        assert_eq!(major("unknown"), 0);
    }
}
