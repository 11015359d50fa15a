//! The layout that the ABI crate has as it is compiled here: [`current`].
//!
//! Types come from abi_stable, which the hosts of plugins ask as well: all that can be reached from the plugin's module. Sizes
//! and alignments are the compiler's; offsets are worked out by the rule of `repr(C)`, which every crossing struct has. What
//! abi_stable does not see is listed by hand: the C structs of the entry, open enumerations, constants.

use std::collections::BTreeMap;
use std::mem::offset_of;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TLField, TLFunction, TLPrimitive, TypeLayout};
use mini_chat_plugin_abi::entry::{self, EntryArgs, EntryReply};
use mini_chat_plugin_abi::error::FfiError;
use mini_chat_plugin_abi::heap::HeapTable;
use mini_chat_plugin_abi::module::PluginModuleRef;
use mini_chat_plugin_abi::{call, descriptor, error, host, instance, records, state, tracing};

use crate::text::{Kind, Layout, Section};

/// What crosses, as the ABI crate is compiled here.
#[must_use]
pub fn current() -> Layout {
    let mut walk = Walk::default();
    walk.visit(<PluginModuleRef as StableAbi>::LAYOUT);
    let mut sections = walk.sections;
    sections.extend(entry_structs());
    sections.extend(open_enums());
    sections.extend(constants());
    sections.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Layout { abi: descriptor::ABI_VERSION.to_owned(), sections }
}

#[derive(Default)]
struct Walk {
    seen: BTreeMap<String, (usize, String)>,
    sections: Vec<Section>,
}

/// The name of a type with its parameters. abi_stable keeps parameters for few types; of the generic ones that cross they are
/// found where they are used. Lifetimes are left out.
fn name_of(layout: &'static TypeLayout) -> String {
    let parameters: Vec<_> = layout.generics().type_params().iter().map(|layout| name_of(layout())).collect();
    let one = || parameters.first().cloned().unwrap_or_default();
    match layout.data() {
        TLData::Primitive(TLPrimitive::SharedRef) => format!("&{}", one()),
        TLData::Primitive(TLPrimitive::MutRef) => format!("&mut {}", one()),
        TLData::Primitive(TLPrimitive::ConstPtr) => format!("*const {}", one()),
        TLData::Primitive(TLPrimitive::MutPtr) => format!("*mut {}", one()),
        TLData::Primitive(TLPrimitive::Array) => {
            let element = layout.generics().type_params().first().map(|element| element().size().max(1));
            format!("[{}; {}]", one(), layout.size() / element.unwrap_or(1))
        }
        _ if !parameters.is_empty() => format!("{}<{}>", layout.name(), parameters.join(", ")),
        _ => match found_parameters(layout) {
            Some(parameters) => format!("{}<{parameters}>", layout.name()),
            None => layout.name().to_owned(),
        },
    }
}

/// What a generic type that says nothing of it is made with: seen from the field that has it.
fn found_parameters(layout: &'static TypeLayout) -> Option<String> {
    let fields: Vec<_> = layout.get_fields().into_iter().flat_map(|fields| fields.iter().collect::<Vec<_>>()).collect();
    let field = |name: &str| fields.iter().find(|field| field.name() == name).map(TLField::layout);
    let pointee = |name: &str| field(name)?.generics().type_params().first().map(|layout| name_of(layout()));
    match layout.name() {
        "ROption" | "FfiPoll" => fields.first().map(|field| name_of(field.layout())),
        "RResult" => Some(fields.iter().map(|field| name_of(field.layout())).collect::<Vec<_>>().join(", ")),
        // `Ready` has an `FfiReply<T>`, which is an `RResult<T, FfiError>`.
        "FfiCall" => {
            let reply = fields.first()?.layout().get_fields()?.get(0)?;
            Some(name_of(reply.layout()))
        }
        "FfiVec" => pointee("ptr"),
        "RSlice" => pointee("data"),
        "BorrowingFfiFuture" => found_parameters(fields.first()?.layout()),
        "LocalBorrowingFfiFuture" => fields.iter().find_map(|field| {
            let answers = field.function_range().iter().find_map(|function| function.return_type_layout())?;
            found_parameters(answers())
        }),
        _ => None,
    }
}

impl Walk {
    fn visit(&mut self, layout: &'static TypeLayout) {
        let name = name_of(layout);
        // Another type of the same name would be left out: a generic one that `found_parameters` does not know.
        let identity = (layout.size(), format!("{:?}", layout.get_utypeid()));
        match self.seen.get(&name) {
            Some(known) => {
                let same = *known == identity || layout.generics().lifetime_count() > 0;
                return assert!(same, "two types are called {name}: name_of must tell them apart");
            }
            None => self.seen.insert(name.clone(), identity),
        };
        for generic in layout.generics().type_params() {
            self.visit(generic());
        }
        for field in layout.phantom_fields().iter() {
            self.visit_field(&field);
        }
        let section = |kind, members| Section {
            kind,
            name: name.clone(),
            facts: format!("size {} align {}", layout.size(), layout.alignment()),
            members,
        };
        match layout.data() {
            TLData::Primitive(_) => {}
            TLData::Opaque => self.sections.push(section(Kind::Opaque, Vec::new())),
            // What the compiler makes and shows nothing of, such as `c_void`.
            TLData::Struct { fields } if fields.is_empty() => self.sections.push(section(Kind::Opaque, Vec::new())),
            TLData::Struct { fields } => {
                let fields: Vec<_> = fields.iter().collect();
                let members = laid_out(&fields, layout);
                self.sections.push(section(Kind::Record, members));
                fields.iter().for_each(|field| self.visit_field(field));
            }
            TLData::Union { fields } => {
                let members = fields.iter().map(|field| format!("{}: {} @0", field.name(), typed(&field))).collect();
                self.sections.push(section(Kind::Union, members));
                fields.iter().for_each(|field| self.visit_field(&field));
            }
            TLData::Enum(variants) => {
                let mut fields = variants.fields.iter();
                let mut members = Vec::new();
                for (number, (variant, count)) in
                    variants.variant_names_iter().zip(variants.field_count.iter()).enumerate()
                {
                    let own: Vec<_> = fields.by_ref().take(usize::from(*count)).collect();
                    let types: Vec<_> = own.iter().map(typed).collect();
                    members.push(format!("{variant}: ({}) #{number}", types.join(", ")));
                    own.iter().for_each(|field| self.visit_field(field));
                }
                self.sections.push(section(Kind::Variants, members));
            }
            TLData::PrefixType(table) => {
                let fields: Vec<_> = table.fields.iter().collect();
                let members =
                    fields.iter().enumerate().map(|(at, field)| format!("{}: {} #{at}", field.name(), typed(field)));
                // A table grows: neither its size nor the number of its slots is part of what must stay.
                let facts = format!("first release {} slots, align {}", table.first_suffix_field, layout.alignment());
                let members = members.collect();
                self.sections.push(Section { kind: Kind::Table, name: name.clone(), facts, members });
                fields.iter().for_each(|field| self.visit_field(field));
            }
        }
    }

    fn visit_field(&mut self, field: &TLField) {
        for function in field.function_range().iter() {
            for parameter in function.param_type_layouts.iter() {
                self.visit(parameter());
            }
            if let Some(returns) = function.return_type_layout() {
                self.visit(returns());
            }
        }
        if !field.is_function() {
            self.visit(field.layout());
        }
    }
}

/// The type of a field; of a function, its signature.
fn typed(field: &TLField) -> String {
    let signature = |function: TLFunction| {
        let parameters: Vec<_> = function.param_type_layouts.iter().map(|layout| name_of(layout())).collect();
        let returns = function.return_type_layout().map_or_else(|| "()".to_owned(), |layout| name_of(layout()));
        format!("extern \"C\" fn({}) -> {returns}", parameters.join(", "))
    };
    let functions: Vec<_> = field.function_range().iter().map(signature).collect();
    match &*functions {
        [one] if field.is_function() => one.clone(),
        [] => name_of(field.layout()),
        some => format!("{} with {}", name_of(field.layout()), some.join(" and ")),
    }
}

/// Fields with the offsets that `repr(C)` gives them.
fn laid_out(fields: &[TLField], whole: &'static TypeLayout) -> Vec<String> {
    let mut end = 0_usize;
    let mut lines = Vec::new();
    for field in fields {
        let layout = field.layout();
        let at = end.next_multiple_of(layout.alignment().max(1));
        lines.push(format!("{}: {} @{at}", field.name(), typed(field)));
        end = at + layout.size();
    }
    let size = end.next_multiple_of(whole.alignment().max(1));
    assert_eq!(size, whole.size(), "{}: the offsets of a repr(C) struct", name_of(whole));
    lines
}

macro_rules! c_struct {
    ($ty:ident { $($field:ident: $shown:literal),+ $(,)? }) => {{
        // A field that is not listed does not compile.
        let _: fn(&$ty) = |value| {
            let $ty { $($field: _),+ } = value;
        };
        Section {
            kind: Kind::CStruct,
            name: stringify!($ty).to_owned(),
            facts: format!("size {} align {}", size_of::<$ty>(), align_of::<$ty>()),
            members: vec![$(format!("{}: {} @{}", stringify!($field), $shown, offset_of!($ty, $field))),+],
        }
    }};
}

fn entry_structs() -> [Section; 3] {
    [
        c_struct!(EntryArgs {
            size: "usize",
            heap: "*const HeapTable",
            image: "u64",
            host_name: "*const u8",
            host_name_len: "usize",
            host_version: "*const u8",
            host_version_len: "usize",
        }),
        c_struct!(EntryReply {
            size: "usize",
            magic: "[u8; 16]",
            status: "u32",
            check: "u32",
            message: "*const u8",
            message_len: "usize",
            module: "Option<unsafe extern \"C\" fn(u32) -> *const c_void>",
        }),
        c_struct!(HeapTable {
            size: "usize",
            context: "*mut c_void",
            alloc: "unsafe extern \"C\" fn(*mut c_void, usize, usize) -> *mut u8",
            alloc_zeroed: "unsafe extern \"C\" fn(*mut c_void, usize, usize) -> *mut u8",
            realloc: "unsafe extern \"C\" fn(*mut c_void, *mut u8, usize, usize, usize) -> *mut u8",
            dealloc: "unsafe extern \"C\" fn(*mut c_void, *mut u8, usize, usize)",
        }),
    ]
}

macro_rules! values {
    ($($module:ident::$ty:ident)+) => {
        vec![$(Section {
            kind: Kind::Values,
            name: stringify!($ty).to_owned(),
            facts: "u32".to_owned(),
            members: $module::$ty::VALUES.iter().map(|(name, number)| format!("{name}: {number}")).collect(),
        }),+]
    };
}

fn open_enums() -> Vec<Section> {
    #[allow(unused_mut, reason = "1.0 has fewer")]
    let mut all = values! {
        call::FfiExecutionMode error::FfiErrorKind error::FfiErrorOrigin host::FfiLogLevel host::FfiServiceStatus
        instance::FfiPurpose records::FfiAttachmentKind records::FfiModelTier records::FfiQuotaScope
        records::FfiRequesterType records::FfiTurnAuditEventType records::FfiTurnDeleteAuditEventType
        records::FfiTurnMutationAuditEventType state::FfiStateKind
    };
    if cfg!(not(mini_chat_abi = "1.0")) {
        all.extend(values! {
            tracing::FfiTraceInterest tracing::FfiTraceKind tracing::FfiTraceParentKind tracing::FfiTraceType
        });
    }
    all
}

fn constants() -> Vec<Section> {
    let section = |kind, name: &str, members: Vec<String>| Section {
        kind,
        name: name.to_owned(),
        facts: "text".to_owned(),
        members,
    };
    let list = |names: &[&str]| names.iter().enumerate().map(|(at, name)| format!("{name}: #{at}")).collect();
    vec![
        section(
            Kind::Constants,
            "entry",
            vec![
                format!("ENTRY_SYMBOL: {}", entry::ENTRY_SYMBOL),
                format!("MAGIC: {}", entry::MAGIC.escape_ascii()),
                format!("STATUS_OK: {}", entry::STATUS_OK),
                format!("STATUS_EARLY_ALLOCATION: {}", entry::STATUS_EARLY_ALLOCATION),
                format!("STATUS_CALLED_TWICE: {}", entry::STATUS_CALLED_TWICE),
                format!("STATUS_HOST_TOO_OLD: {}", entry::STATUS_HOST_TOO_OLD),
                format!("STATUS_PANICKED: {}", entry::STATUS_PANICKED),
                format!("CHECK_ABI_STABLE: {}", entry::CHECK_ABI_STABLE),
            ],
        ),
        section(Kind::Constants, "error_flags", vec![format!("FLAG_RETRY_AFTER: {}", FfiError::FLAG_RETRY_AFTER)]),
        section(
            Kind::Constants,
            "descriptor",
            vec![
                format!("SECTION: {}", descriptor::SECTION),
                format!("FORMAT: {}", descriptor::FORMAT),
                format!("ABI_MAJOR: {}", descriptor::ABI_MAJOR),
            ],
        ),
        section(Kind::Constants, "hooks", list(descriptor::HOOKS)),
        section(Kind::Constants, "methods_model_policy", list(descriptor::MODEL_POLICY.1)),
        section(Kind::Constants, "methods_audit", list(descriptor::AUDIT.1)),
    ]
}
