mod expression;
mod types;

pub mod document;
pub mod shape;

pub use expression::*;
pub use types::*;
