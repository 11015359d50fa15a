//! Facts that the descriptor states and only a build script can see: compiler, target, profile.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MINI_CHAT_SDK_NO_ELF");
    println!("cargo::rustc-check-cfg=cfg(mini_chat_elf)");

    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiler = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown".to_owned(), |text| text.trim().replace(['"', '\\'], "'"));
    println!("cargo::rustc-env=MINI_CHAT_SDK_COMPILER={compiler}");
    for (name, cargo_name) in [
        ("MINI_CHAT_SDK_TARGET", "TARGET"),
        ("MINI_CHAT_SDK_PROFILE", "PROFILE"),
        ("MINI_CHAT_SDK_OPT_LEVEL", "OPT_LEVEL"),
    ] {
        println!("cargo::rustc-env={name}={}", env::var(cargo_name).unwrap_or_else(|_| "unknown".to_owned()));
    }

    // Loading is offered on ELF systems; elsewhere plugin crates still compile and link statically. The variable lets an
    // ELF system show that.
    let elf = matches!(env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "android" | "freebsd"));
    if elf && env::var_os("MINI_CHAT_SDK_NO_ELF").is_none() {
        println!("cargo::rustc-cfg=mini_chat_elf");
    }
}
