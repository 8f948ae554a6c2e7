mod expression;
mod types;

pub use expression::*;
pub use types::*;
