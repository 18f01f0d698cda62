//! One call at a time where an API needs it. wgpu's OpenGL panics in a thread that has waited for a context for some seconds while another
//! computed in it (6 s with EGL, 1 s with WGL), so the crate's own calls wait for each other instead, for as long as it takes.

use std::sync::{Mutex, MutexGuard, PoisonError};

static OPENGL: Mutex<()> = Mutex::new(());

/// Waits until no other call of the crate uses OpenGL, where `device` does; other APIs need no order.
pub(super) fn exclusive(backend: wgpu::Backend) -> Option<MutexGuard<'static, ()>> {
    (backend == wgpu::Backend::Gl).then(|| OPENGL.lock().unwrap_or_else(PoisonError::into_inner))
}
