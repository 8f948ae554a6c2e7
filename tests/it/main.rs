mod conformance;
mod store;
mod tidy;
