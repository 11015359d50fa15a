//! The target triple that the loader is compiled for: plugins must be built for the same.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Set by `cargo fuzz`.
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    let target = std::env::var("TARGET").expect("cargo sets TARGET for build scripts");
    println!("cargo::rustc-env=MINI_CHAT_LOADER_TARGET={target}");
}
