//! The macros by which an author says: this is my plugin.

/// Makes the library a plugin: one call, in the crate that is compiled as a `cdylib`.
///
/// | key | what | |
/// | --- | --- | --- |
/// | `id` | one GTS segment, `vendor.package.namespace.type.vMAJOR[.MINOR]`; checked while compiling | required |
/// | `vendor` | who makes it | required |
/// | `priority` | `i16`; lower is preferred where a host selects one of several | required |
/// | `serves` | the traits served: `[model_policy]`, `[audit]` or both | required |
/// | `plugin` | the type that implements them | required |
/// | `config` | the type that `plugins.NAME.config` is read into (serde `Deserialize`); without one: [`NoConfig`](crate::NoConfig) | required |
/// | `create` | the constructor: `async fn(PluginContext, Config) -> Result<Plugin, PluginError>` | required |
/// | `health` | `async fn(&Plugin) -> Result<(), PluginError>` | optional |
/// | `shutdown` | `async fn(&Plugin) -> Result<(), PluginError>`: flush what is not flushed | optional |
/// | `quiesce` | `async fn(&Plugin) -> Result<(), PluginError>`: give up what only one instance may hold (a port, a lock, a file's tail) and flush, before a successor is created; makes the plugin exclusive | optional, with `resume` |
/// | `resume` | `async fn(&Plugin) -> Result<(), PluginError>`: take it back, when there is to be no successor after all | optional, with `quiesce` |
/// | `export_state` | `async fn(&Plugin) -> Result<Vec<u8>, PluginError>`: what the successor finds in [`PluginContext::handover`](crate::PluginContext::handover), at most 16 MiB | optional |
/// | `preflight` | `create` (default): the constructor may run in a check process beside a serving instance; `open`: it may not | optional |
/// | `reentrant` | `true`: instances may share this library's statics (default `false`) | optional |
///
/// ```
/// use mini_chat_plugin_sdk::prelude::*;
///
/// pub struct Hello;
///
/// #[async_trait]
/// impl MiniChatAuditPluginClientV1 for Hello {
///     async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
///         println!("turn {} used {}", event.turn_id, event.effective_model);
///         Ok(())
///     }
///     async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
///     async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
///     async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
/// }
///
/// export_plugin! {
///     id: "acme.audit._.hello.v1", vendor: "acme", priority: 100,
///     serves: [audit], plugin: Hello, config: NoConfig,
///     create: |_context, _config| async { Ok(Hello) },
/// }
/// # fn main() {}
/// ```
///
/// # What it adds to the crate
///
/// A type `ThisPlugin`, by which tests in the crate (and only there) can drive the plugin without loading it, see
/// [`InProcessPlugin`](crate::InProcessPlugin). And, unless `cfg(test)`: the entry symbol, the descriptor section, and a
/// `#[global_allocator]` that forwards to the host's heap.
///
/// # In which crate
///
/// The last three belong to the `.so` alone. A library that other Rust crates link as well must not have them:
/// define the plugin there with [`define_plugin!`](crate::define_plugin), and call `export_plugin!(path::to::Definition)`
/// in a second, one-line crate of type `cdylib`. **Never give a crate that calls `export_plugin!` both
/// `crate-type = ["cdylib", "rlib"]`:** whatever links it statically would get the plugin's allocator.
///
/// A crate compiled with `panic = "abort"` does not compile: a panic could not be kept from the host.
#[macro_export]
macro_rules! export_plugin {
    ($definition:path) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a mini-chat plugin needs `panic = \"unwind\"`: with \"abort\" a panic of the plugin would end its host; \
             remove `panic = \"abort\"` from the profile"
        );
        $crate::__export! { $definition }
    };
    ($($body:tt)*) => {
        $crate::__plugin! {
            {
                /// This crate's plugin.
                #[allow(dead_code, reason = "outside tests only the exported entry uses it")]
                pub(crate) ThisPlugin
                $crate::export_plugin!(ThisPlugin);
            }
            [] {}
            $($body)*
        }
    };
}

/// Defines a plugin without exporting it: for a library that is linked statically, and exported by a second crate.
///
/// The keys are those of [`export_plugin!`](crate::export_plugin). The name is a type, to be given to
/// [`InProcessPlugin::of`](crate::InProcessPlugin::of) and to `export_plugin!`.
///
/// ```
/// # use mini_chat_plugin_sdk::prelude::*;
/// # pub struct Hello;
/// # #[async_trait]
/// # impl MiniChatAuditPluginClientV1 for Hello {
/// #     async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
/// #     async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
/// #     async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
/// #     async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
/// # }
/// # impl Hello { async fn create(_: PluginContext, _: NoConfig) -> Result<Hello, PluginError> { Ok(Hello) } }
/// define_plugin! {
///     /// Says hello.
///     pub HelloPlugin {
///         id: "acme.audit._.hello.v1", vendor: "acme", priority: 100,
///         serves: [audit], plugin: Hello, config: NoConfig, create: Hello::create,
///     }
/// }
/// let linked = InProcessPlugin::of::<HelloPlugin>();
/// assert!(linked.descriptor().contains("acme.audit._.hello.v1"));
/// ```
#[macro_export]
macro_rules! define_plugin {
    ($(#[$meta:meta])* $visibility:vis $name:ident { $($body:tt)* }) => {
        $crate::__plugin! { { $(#[$meta])* $visibility $name } [] {} $($body)* }
    };
}

/// What only a shared object has: entry, descriptor, allocator.
#[cfg(mini_chat_elf)]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($definition:path) => {
        #[cfg(not(test))]
        $crate::a_library_exports_one_plugin! {}

        #[cfg(not(test))]
        const _: () = {
            #[global_allocator]
            static HEAP: $crate::__private::HostHeap = $crate::__private::HostHeap;

            const TEXT: $crate::__private::DescriptorText = $crate::__private::DescriptorText::of::<$definition>();

            #[used]
            #[unsafe(link_section = ".mini_chat_plugin")]
            static DESCRIPTOR: [u8; TEXT.len()] = TEXT.to_array();

            static MODULE: $crate::__private::ModuleCell = $crate::__private::ModuleCell::new();

            unsafe extern "C" fn module(major: u32) -> *const ::core::ffi::c_void {
                MODULE.get::<$definition>(major)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn mini_chat_plugin_entry(
                args: *const $crate::__private::EntryArgs,
                reply: *mut $crate::__private::EntryReply,
            ) {
                // Compilers before 1.89 let the linker drop a section that is only `#[used]`: this keeps it, as the entry is kept.
                // SAFETY: the first byte of a static.
                let _ = unsafe { ::core::ptr::read_volatile(DESCRIPTOR.as_ptr()) };
                // SAFETY: the host calls the entry by its contract.
                unsafe { $crate::__private::enter(args, reply, module) }
            }
        };
    };
}

/// Defines what there can be only once in a crate, whatever the modules. Its name stands in the compiler's message.
#[cfg(mini_chat_elf)]
#[doc(hidden)]
#[macro_export]
macro_rules! a_library_exports_one_plugin {
    () => {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! export_plugin_is_called_twice_but_a_library_exports_one_plugin {
            () => {};
        }
    };
}

/// On systems without ELF there is nothing to export: the plugin can be linked statically.
#[cfg(not(mini_chat_elf))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($definition:path) => {};
}
