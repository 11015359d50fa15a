//! The content of a candidate's descriptor section.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mini_chat_plugin_loader::verify::fuzzing::descriptor(bytes));
