//! A candidate's bytes: every check that is made before anything of it is mapped.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mini_chat_plugin_loader::verify::fuzzing::elf(bytes));
