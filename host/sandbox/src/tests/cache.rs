//! Compiled plugins between starts.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

async fn load_with(dir: &Path) -> Plugin {
    let options = SandboxOptions {
        cache_dir: Some(dir.to_owned()),
        instances: 4,
        max_memory: MIB,
    };
    let plugin = Sandbox::new(options)
        .unwrap()
        .load("hand-made", &ByHand::default().wasm())
        .await
        .unwrap();
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    plugin
}

/// Keeps what it is given, and then fails.
fn broken_compiler(options: &SandboxOptions) -> std::io::Result<Command> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "/bin/cat > \"$0\"; exit 1"])
        .arg(options.cache_dir.as_ref().unwrap().join("seen"));
    Ok(command)
}

#[tokio::test]
async fn compiler_that_fails_leaves_the_work_to_this_process() {
    let dir = TempDir::new().unwrap();
    let options = SandboxOptions {
        cache_dir: Some(dir.path().to_owned()),
        instances: 4,
        max_memory: MIB,
    };
    let sandbox = Sandbox::with_compiler(options, Some(broken_compiler)).unwrap();
    let wasm = ByHand::default().wasm();
    let plugin = sandbox.load("hand-made", &wasm).await.unwrap();
    assert_answered(&plugin.read("here", INPUT, &LIMITS).await);
    assert_eq!(fs::read(dir.path().join("seen")).unwrap(), wasm);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the time of the last write to the file; a later one is seen by it.
fn written(path: &Path) -> (std::time::SystemTime, u64) {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path).unwrap();
    (found.modified().unwrap(), found.ino())
}

async fn one_file() -> (TempDir, PathBuf, PathBuf) {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("plugins");
    let plugin = load_with(&dir).await;
    let [file] = &files(&dir)[..] else {
        panic!("{:?}", files(&dir))
    };
    assert!(
        file.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(plugin.sha256())
    );
    (parent, dir, file.clone())
}

#[tokio::test]
async fn a_compiled_plugin_is_kept_for_its_owner_only_and_used_again() {
    let (_parent, dir, file) = one_file().await;
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    let before = written(&file);
    load_with(&dir).await;
    assert_eq!(written(&file), before);
}

#[tokio::test]
async fn a_torn_file_is_compiled_again() {
    let (_parent, dir, file) = one_file().await;
    let whole = fs::read(&file).unwrap();
    for torn in [
        &whole[..0],
        &whole[..7],
        &whole[..40],
        &whole[..whole.len() - 1],
    ] {
        fs::write(&file, torn).unwrap();
        load_with(&dir).await;
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    }
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&file, &changed).unwrap();
    load_with(&dir).await;
    assert_ne!(fs::read(&file).unwrap(), changed);
}

#[tokio::test]
async fn a_file_that_others_may_write_to_is_not_believed() {
    let (_parent, dir, file) = one_file().await;
    set_mode(&file, 0o666);
    let before = written(&file);
    load_with(&dir).await;
    assert_ne!(written(&file), before);
    assert_eq!(mode(&file), 0o600);
}

#[tokio::test]
async fn a_directory_that_others_may_write_to_is_not_used() {
    let (_parent, dir, file) = one_file().await;
    fs::remove_file(&file).unwrap();
    set_mode(&dir, 0o777);
    load_with(&dir).await;
    assert!(files(&dir).is_empty());
}

#[tokio::test]
async fn a_cache_that_cannot_be_made_is_done_without() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    load_with(&file).await;
    load_with(&file.join("below")).await;
}

#[tokio::test]
async fn files_of_another_build_are_removed_and_other_files_are_not() {
    let (_parent, dir, file) = one_file().await;
    fs::remove_file(&file).unwrap();
    let old = dir.join("0123-0000000000000000.cwasm");
    let other = dir.join("README");
    fs::write(&old, "").unwrap();
    fs::write(&other, "").unwrap();
    load_with(&dir).await;
    assert!(!old.exists() && other.exists() && file.exists());
}

#[tokio::test]
async fn the_number_of_files_is_bounded() {
    let (_parent, dir, file) = one_file().await;
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let suffix = name.split_once('-').unwrap().1;
    for number in 0..100 {
        fs::write(dir.join(format!("{number:064}-{suffix}")), "").unwrap();
    }
    fs::remove_file(&file).unwrap();
    load_with(&dir).await;
    assert!(file.exists());
    assert_eq!(files(&dir).len(), 64);
}
