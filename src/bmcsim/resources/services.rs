//! The service root, chassis, manager, sessions, tasks and firmware inventory.

use super::{health, link, members};
use crate::bmcsim::machine::Machine;
use crate::bmcsim::{sessions, tasks};
use serde_json::{Value, json};

pub(super) fn read(machine: &Machine, path: &[&str]) -> Option<Value> {
    let here = machine.at(&path.iter().flat_map(|p| ["/", p]).collect::<String>());
    match path {
        [] => Some(root(machine)),
        ["odata"] => Some(odata(machine)),
        ["Chassis"] => Some(members(&here, "Chassis", "Chassis", vec![format!("{here}/1")])),
        ["Chassis", "1"] => Some(chassis(machine, &here)),
        ["Managers"] => Some(members(&here, "Manager", "Managers", vec![format!("{here}/1")])),
        ["Managers", "1"] => Some(manager(machine, &here)),
        ["SessionService"] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#SessionService.v1_1_9.SessionService",
            "Id": "SessionService",
            "Name": "Session Service",
            "ServiceEnabled": true,
            "SessionTimeout": sessions::IDLE.as_secs(),
            "Sessions": link(format!("{here}/Sessions")),
            "Status": {"State": "Enabled", "Health": "OK"},
        })),
        ["SessionService", "Sessions"] => {
            let ids = machine.state().sessions.ids();
            Some(members(&here, "Session", "Sessions", ids.iter().map(|id| format!("{here}/{id}")).collect()))
        }
        ["SessionService", "Sessions", id] => {
            let user = machine.state().sessions.user(id)?;
            Some(sessions::resource(machine, id, &user))
        }
        ["TaskService", ..] => task_service(machine, path, &here),
        ["UpdateService", ..] => update_service(machine, path, &here),
        _ => None,
    }
}

fn root(machine: &Machine) -> Value {
    let at = |name: &str| link(machine.at(name));
    // Of the service, not of the machine: a client that takes it for the machine's identity is wrong.
    let uuid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("simulated service {}", machine.name).as_bytes());
    json!({
        "@odata.id": machine.at("/"),
        "@odata.type": "#ServiceRoot.v1_16_1.ServiceRoot",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.18.0",
        "UUID": uuid.to_string(),
        "Product": "bmcsim",
        "ProtocolFeaturesSupported": {
            "ExcerptQuery": false, "ExpandQuery": {"ExpandAll": false, "Levels": false, "Links": false, "NoLinks": false},
            "FilterQuery": false, "OnlyMemberQuery": false, "SelectQuery": false,
        },
        "Systems": at("/Systems"),
        "Chassis": at("/Chassis"),
        "Managers": at("/Managers"),
        "SessionService": at("/SessionService"),
        "Tasks": at("/TaskService"),
        "UpdateService": at("/UpdateService"),
        "Links": {"Sessions": at("/SessionService/Sessions")},
    })
}

fn odata(machine: &Machine) -> Value {
    let entry = |name: &str, path: &str| json!({"name": name, "kind": "Singleton", "url": machine.at(path)});
    json!({
        "@odata.context": machine.at("/$metadata"),
        "value": [
            entry("Service", "/"), entry("Systems", "/Systems"), entry("Chassis", "/Chassis"), entry("Managers", "/Managers"),
            entry("SessionService", "/SessionService"), entry("Sessions", "/SessionService/Sessions"), entry("Tasks", "/TaskService"),
            entry("UpdateService", "/UpdateService"),
        ],
    })
}

/// `$metadata`: no more than clients need to be content.
pub(in crate::bmcsim) const METADATA: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ServiceRoot_v1.xml"><edmx:Include Namespace="ServiceRoot"/></edmx:Reference>
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ComputerSystem_v1.xml"><edmx:Include Namespace="ComputerSystem"/></edmx:Reference>
  <edmx:DataServices>
    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
      <EntityContainer Name="Service" Extends="ServiceRoot.v1_16_1.ServiceContainer"/>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
"#;

fn chassis(machine: &Machine, here: &str) -> Value {
    let facts = &machine.spec.facts;
    json!({
        "@odata.id": here,
        "@odata.type": "#Chassis.v1_25_1.Chassis",
        "Id": "1",
        "Name": format!("Chassis of {}", machine.name),
        "ChassisType": "RackMount",
        "Manufacturer": facts.manufacturer,
        "Model": facts.model,
        "SerialNumber": machine.spec.serial_number,
        "PowerState": "On",
        "NetworkAdapters": link(format!("{here}/NetworkAdapters")),
        "PCIeDevices": facts.accelerators.count.map(|_| link(format!("{here}/PCIeDevices"))),
        "Links": {
            "ComputerSystems": [link(machine.at(&format!("/Systems/{}", machine.spec.system_id)))],
            "ManagedBy": [link(machine.at("/Managers/1"))],
        },
        "Status": {"State": "Enabled", "Health": health(&machine.spec)},
    })
}

fn manager(machine: &Machine, here: &str) -> Value {
    json!({
        "@odata.id": here,
        "@odata.type": "#Manager.v1_19_1.Manager",
        "Id": "1",
        "Name": "Manager",
        "ManagerType": "BMC",
        "FirmwareVersion": machine.spec.facts.firmware.get("bmc"),
        "PowerState": "On",
        "Links": {
            "ManagerForServers": [link(machine.at(&format!("/Systems/{}", machine.spec.system_id)))],
            "ManagerForChassis": [link(machine.at("/Chassis/1"))],
        },
        "Status": {"State": "Enabled", "Health": "OK"},
    })
}

fn task_service(machine: &Machine, path: &[&str], here: &str) -> Option<Value> {
    match path {
        [_] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#TaskService.v1_2_1.TaskService",
            "Id": "TaskService",
            "Name": "Task Service",
            "ServiceEnabled": true,
            "CompletedTaskOverWritePolicy": "Oldest",
            "Tasks": link(format!("{here}/Tasks")),
        })),
        [_, "Tasks"] => {
            let ids = machine.state().tasks.ids();
            Some(members(here, "Task", "Tasks", ids.iter().map(|id| format!("{here}/{id}")).collect()))
        }
        [_, "Tasks", id] => {
            let over = machine.state().tasks.over(id)?;
            Some(tasks::resource(machine, id, over))
        }
        _ => None,
    }
}

fn update_service(machine: &Machine, path: &[&str], here: &str) -> Option<Value> {
    let firmware = &machine.spec.facts.firmware;
    match path {
        [_] => Some(json!({
            "@odata.id": here,
            "@odata.type": "#UpdateService.v1_14_0.UpdateService",
            "Id": "UpdateService",
            "Name": "Update Service",
            "ServiceEnabled": false,
            "FirmwareInventory": link(format!("{here}/FirmwareInventory")),
            // Sushy insists on the action; nobody can use it.
            "Actions": {"#UpdateService.SimpleUpdate": {"target": format!("{here}/Actions/UpdateService.SimpleUpdate")}},
        })),
        [_, "FirmwareInventory"] => {
            let paths = firmware.keys().map(|name| format!("{here}/{name}")).collect();
            Some(members(here, "SoftwareInventory", "Firmware Inventory", paths))
        }
        [_, "FirmwareInventory", name] => firmware.get(*name).map(|version| {
            json!({
                "@odata.id": here,
                "@odata.type": "#SoftwareInventory.v1_10_2.SoftwareInventory",
                "Id": name,
                "Name": name,
                "Version": version,
                "Updateable": false,
            })
        }),
        _ => None,
    }
}
