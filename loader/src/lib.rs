//! Load mini-chat plugins at run time.
