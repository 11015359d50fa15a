# What the scripts share. To be sourced, from the top of the checkout.

# Says what is missing when there is no Rust toolchain.
need_rust() {
    command -v cargo >/dev/null || {
        echo "cargo is missing: install Rust 1.95 or later with rustup (https://rustup.rs), then run this again" >&2
        exit 1
    }
    install_package gcc cc
}

# install_package PACKAGE COMMAND: a Debian package that is needed, if the command is not there.
install_package() {
    command -v "$2" >/dev/null && return
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "== installing $1"
        apt-get install -y -q "$1" >/dev/null || { apt-get update -q >/dev/null && apt-get install -y -q "$1" >/dev/null; }
    fi
    command -v "$2" >/dev/null || {
        echo "$2 is missing: install the package $1 and run this again" >&2
        exit 1
    }
}

# A nightly toolchain: one test loads plugins that another compiler built, with a randomised layout.
need_nightly() {
    cargo +nightly --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null; then
        echo "== installing the nightly toolchain"
        rustup toolchain install nightly --profile minimal && return
    fi
    echo "the nightly toolchain is missing: run \`rustup toolchain install nightly\` and try again" >&2
    exit 1
}

# The target directory that cargo uses.
target_dir() {
    cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# drop FILE DIRECTORY: puts a plugin into a directory as an operator should: not writable by others, and with a rename.
drop() {
    install -m 644 "$1" "$2/.partial" && mv "$2/.partial" "$2/$(basename "$1")"
}
