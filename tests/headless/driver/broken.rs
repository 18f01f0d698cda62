//! A Vulkan driver that ends the process which makes an instance, or with `BROKEN_DRIVER=hangs` never answers: it stands for broken ones.
//! Compiled by a test, as a library for other languages.

use std::ffi::{c_char, c_void, CStr};

type Function = extern "C" fn();

extern "C" fn create_instance() {
    if std::env::var_os("BROKEN_DRIVER").is_some_and(|how| how == "hangs") {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
    std::process::abort();
}

extern "C" fn no_extensions(_layer: *const c_char, count: *mut u32, _properties: *mut c_void) -> i32 {
    // SAFETY: the loader passes a place for the number.
    unsafe { *count = 0 };
    0
}

/// The functions of a driver that the loader asks for.
#[no_mangle]
pub extern "C" fn vk_icdGetInstanceProcAddr(_instance: *const c_void, name: *const c_char) -> Option<Function> {
    // SAFETY: the loader passes a text that ends in a zero.
    match unsafe { CStr::from_ptr(name) }.to_bytes() {
        b"vkCreateInstance" => Some(create_instance),
        // SAFETY: the loader calls it by the type that the name stands for.
        b"vkEnumerateInstanceExtensionProperties" => {
            Some(unsafe { std::mem::transmute::<*const (), Function>(no_extensions as *const ()) })
        }
        _ => None,
    }
}

/// Agrees with the loader on a version of their interface.
#[no_mangle]
pub extern "C" fn vk_icdNegotiateLoaderICDInterfaceVersion(version: *mut u32) -> i32 {
    // SAFETY: the loader passes a place for the number.
    unsafe { *version = (*version).min(5) };
    0
}
