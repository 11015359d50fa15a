//! The commands of `mini-chat-plugins` that ask a running host, and `install`, which waits for what it says.

mod install;
mod orders;
mod site;
