pub mod inventory_memory;
pub mod store_sqlite;
