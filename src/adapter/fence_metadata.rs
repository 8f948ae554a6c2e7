//! What an agent's `metadata` says: XML by the resource agent's schema (`lib/metadata.rng` of the fence agents).

use crate::model::{AgentMetadata, AgentParameter};

/// # Errors
/// What is wrong with the text, in words.
pub(super) fn read(text: &str) -> Result<AgentMetadata, String> {
    // Warnings of the interpreter may stand before and after it.
    let begin = text.find("<?xml").or_else(|| text.find("<resource-agent")).ok_or("there is no XML in it")?;
    let end = text.rfind("</resource-agent>").ok_or("it ends in the middle")? + "</resource-agent>".len();
    let xml = text.get(begin..end).ok_or("it ends before it begins")?;
    let document = roxmltree::Document::parse(xml).map_err(|e| e.to_string())?;
    let named = |tag: &'static str| document.descendants().filter(move |n| n.has_tag_name(tag));
    let parameters = named("parameter").filter_map(|n| {
        let yes = |attribute: &str| n.attribute(attribute) == Some("1");
        Some(AgentParameter { name: n.attribute("name")?.to_owned(), required: yes("required"), deprecated: yes("deprecated") })
    });
    let metadata = AgentMetadata {
        parameters: parameters.collect(),
        actions: named("action").filter_map(|n| n.attribute("name").map(str::to_owned)).collect(),
    };
    if metadata.parameters.is_empty() { Err("it names no parameters".into()) } else { Ok(metadata) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn metadata_is_read_past_what_an_interpreter_says() {
        let text = "warning: 'pipes' is deprecated\n<?xml version=\"1.0\" ?>\n<resource-agent name=\"fence_x\"><parameters>\
                    <parameter name=\"port\" required=\"0\" deprecated=\"1\"/><parameter name=\"plug\" required=\"1\" obsoletes=\"port\"/>\
                    </parameters><actions><action name=\"off\"/><action name=\"status\"/></actions></resource-agent>\n";
        let read = super::read(text).expect("metadata");
        assert_eq!(read.actions, ["off", "status"]);
        assert!(read.parameters[0].deprecated && read.parameters[1].required);
        for bad in
            ["", "<resource-agent>", "<?xml version=\"1.0\"?><resource-agent><x></resource-agent>", "<resource-agent></resource-agent>"]
        {
            assert!(super::read(bad).is_err(), "{bad}");
        }
    }
}
