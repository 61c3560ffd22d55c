//! What lies in a row and in memory: it cannot be changed without being written.

use std::ops::Deref;

/// A value, and whether it has changed since it was written.
#[derive(Clone)]
pub(super) struct Kept<T> {
    value: T,
    is_changed: bool,
}

impl<T> Kept<T> {
    /// As the row has it.
    pub(super) fn read(value: T) -> Self {
        Kept { value, is_changed: false }
    }

    /// To be changed; that it is written again is noted with it.
    pub(super) fn change(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.value
    }

    /// Whether it is to be written. Whoever asks writes it, or lets go of it.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
