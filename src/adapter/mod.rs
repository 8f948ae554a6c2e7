pub mod inventory_memory;
pub mod store_sqlite;
pub mod redfish;
pub mod secrets;
