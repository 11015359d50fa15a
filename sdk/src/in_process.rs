//! [`InProcessPlugin`]: a plugin that is linked statically, to be driven without a `.so`.

use mini_chat_plugin_abi::module::PluginModuleRef;

use crate::plugin::definition::PluginDefinition;
use crate::plugin::descriptor::DescriptorText;
use crate::plugin::vtable;

/// A plugin linked into this program.
///
/// The loader's `PluginHost::builder().in_process(…)` serves it through the same vtables as a loaded one; nothing of the
/// process is touched (allocator, panic hook, subscribers), and any number of plugins may be linked into one program.
#[derive(Clone, Copy)]
pub struct InProcessPlugin {
    descriptor: &'static str,
    module: PluginModuleRef,
}

impl InProcessPlugin {
    /// The plugin that `T` defines; `T` is the name given to [`define_plugin!`](crate::define_plugin).
    #[must_use]
    pub fn of<T: PluginDefinition>() -> Self {
        struct Text<T>(std::marker::PhantomData<T>);
        impl<T: PluginDefinition> Text<T> {
            const TEXT: &'static DescriptorText = &DescriptorText::of::<T>();
        }
        Self { descriptor: Text::<T>::TEXT.as_str(), module: vtable::module::<T>() }
    }

    /// What the plugin says of itself: the same JSON that a `.so` has in its descriptor section.
    #[must_use]
    pub fn descriptor(&self) -> &'static str {
        self.descriptor
    }

    /// The plugin's functions.
    #[doc(hidden)]
    #[must_use]
    pub fn module(&self) -> PluginModuleRef {
        self.module
    }
}

impl std::fmt::Debug for InProcessPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcessPlugin").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}
