//! Makes of a built Wasm module what Envoy loads.
//!
//! The SDK exports every callback of the ABI, and Envoy calls each one that it finds, for each phase and each chunk of a
//! body. [`strip()`] removes the callbacks that no source of a module implements and the code that only they reach;
//! an [`Order`] puts the functions that requests run side by side; [`Outline::check`] refuses a module that Envoy would not load. `make build` runs the program of this crate, and
//! everything else takes the modules from `dist/`. An [`Image`] is a module as Istio and Envoy Gateway fetch it.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]
#![allow(clippy::disallowed_methods)] // A tool with files, not policy.

mod built;
mod callback;
mod dist;
mod filter;
mod host_function;
mod image;
mod order;
mod outline;
mod place;
mod strip;
mod trace;

pub use built::{Built, Unfit};
pub use callback::{Callback, callbacks_in};
pub use dist::{Dist, PackageError, Packaged, order_of, sha256, traced};
pub use filter::filters;
pub use host_function::is_offered;
pub use image::{Image, Labels};
pub use order::{Order, OrderError, Ordered};
pub use outline::{Fault, MAX_MODULE_BYTES, Outline};
pub use place::{target_folder, workspace};
pub use strip::{StripError, strip};
pub use trace::{MARK, trace};
