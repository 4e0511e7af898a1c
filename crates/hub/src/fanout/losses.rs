//! Which losses a client knows of, so that each is told once.

use tidings_store::{Class, Lost, PerClass, Position};

/// For each class: up to here every loss has been told, or is none to this client. That is exact, since retention removes
/// the oldest of a class first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownLosses(PerClass<Position>);

impl KnownLosses {
    /// Takes note of a loss; whether there is anything new in it.
    pub(crate) fn learn(&mut self, lost: &Lost) -> bool {
        let mut new = false;
        for class in Class::ALL {
            if lost.by_class[class] > self.0[class] {
                self.0[class] = lost.by_class[class];
                new = true;
            }
        }
        new
    }
}
