//! Tells the program which commit it is built from: `AKLDAP_COMMIT` if that is set, as where an image is built without git, else
//! what git says of this folder. Archives without git are built without a commit, and so are builds for development, which
//! would have to be made again after each commit.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AKLDAP_COMMIT");
    let given = env::var("AKLDAP_COMMIT").ok();
    let commit = given.filter(|commit| !commit.is_empty()).or_else(from_git);
    println!("cargo::rustc-env=AKLDAP_COMMIT={}", commit.unwrap_or_default());
}

fn from_git() -> Option<String> {
    if env::var("PROFILE").ok()? != "release" {
        return None;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").ok()?;
    // An archive that was unpacked inside somebody's repository is not of that repository.
    let top = git(&folder, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&folder).canonicalize().ok()? {
        return None;
    }
    for path in ["src", "crates", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(log) = git(&folder, &["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&folder).join(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let commit = git(&folder, &["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit} with changes")
    })
}

/// What git says, if it is there and has an answer.
fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
