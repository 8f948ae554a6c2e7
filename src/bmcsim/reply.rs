//! Answers: a status, headers and JSON text; and errors as DSP0266 wants them (section on error responses).

use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

pub(super) struct Answer {
    pub status: StatusCode,
    pub body: String,
    pub headers: Vec<(HeaderName, String)>,
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
        Answer::text(status, body.to_string())
    }

    pub(super) fn text(status: StatusCode, body: String) -> Answer {
        Answer { status, body, headers: Vec::new() }
    }

    pub(super) fn no_content() -> Answer {
        Answer::text(StatusCode::NO_CONTENT, String::new())
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn into_response(self) -> Response<String> {
        let empty = self.body.is_empty();
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("odata-version"), HeaderValue::from_static("4.0"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if !empty {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// A message of the Base registry with its arguments.
pub(super) struct Message<'a> {
    pub id: &'static str,
    pub text: String,
    pub args: &'a [&'a str],
    pub resolution: &'static str,
}

/// An error answer with one message.
pub(super) fn error(status: StatusCode, message: &Message) -> Answer {
    let id = format!("Base.1.18.{}", message.id);
    let info = json!([{
        "@odata.type": "#Message.v1_1_2.Message",
        "MessageId": id,
        "Message": message.text,
        "MessageArgs": message.args,
        "MessageSeverity": if status.is_server_error() { "Critical" } else { "Warning" },
        "Resolution": message.resolution,
    }]);
    Answer::json(status, &json!({"error": {"code": id, "message": message.text, "@Message.ExtendedInfo": info}}))
}

pub(super) fn success() -> Answer {
    let body = json!({"@Message.ExtendedInfo": [{
        "@odata.type": "#Message.v1_1_2.Message",
        "MessageId": "Base.1.18.Success",
        "Message": "The request completed successfully.",
        "MessageArgs": [],
        "MessageSeverity": "OK",
        "Resolution": "None.",
    }]});
    Answer::json(StatusCode::OK, &body)
}

pub(super) fn general(status: StatusCode, text: &str) -> Answer {
    let resolution = "See the status code and try again if that makes sense.";
    error(status, &Message { id: "GeneralError", text: text.to_owned(), args: &[], resolution })
}

pub(super) fn not_found(path: &str) -> Answer {
    error(
        StatusCode::NOT_FOUND,
        &Message {
            id: "ResourceMissingAtURI",
            text: format!("The resource at the URI '{path}' was not found."),
            args: &[path],
            resolution: "Place a valid resource at the URI or correct the URI and resubmit the request.",
        },
    )
}

pub(super) fn method_not_allowed(method: &str, allow: &str) -> Answer {
    let message = Message {
        id: "OperationNotAllowed",
        text: format!("The HTTP method {method} is not allowed on this resource."),
        args: &[],
        resolution: "None.",
    };
    error(StatusCode::METHOD_NOT_ALLOWED, &message).with(header::ALLOW, allow)
}

pub(super) fn unauthorized() -> Answer {
    let message = Message {
        id: "NoValidSession",
        text: "There is no valid session established with the implementation.".into(),
        args: &[],
        resolution: "Establish a session before attempting any operations.",
    };
    error(StatusCode::UNAUTHORIZED, &message).with(header::WWW_AUTHENTICATE, "Basic realm=\"Redfish\"")
}

pub(super) fn malformed() -> Answer {
    let message = Message {
        id: "MalformedJSON",
        text: "The request body submitted was malformed JSON and could not be parsed by the receiving service.".into(),
        args: &[],
        resolution: "Ensure that the request body is valid JSON and resubmit the request.",
    };
    error(StatusCode::BAD_REQUEST, &message)
}

/// 400 about one property.
pub(super) fn bad_property(id: &'static str, property: &str, what: &str) -> Answer {
    let text = format!("The property '{property}' {what}.");
    error(StatusCode::BAD_REQUEST, &Message { id, text, args: &[property], resolution: "Correct the property and resubmit the request." })
}

/// 400 or 409 about an action's parameter.
pub(super) fn bad_parameter(status: StatusCode, id: &'static str, action: &str, parameter: &str, what: &str) -> Answer {
    let text = format!("The parameter '{parameter}' of the action '{action}' {what}.");
    error(status, &Message { id, text, args: &[parameter, action], resolution: "Correct the parameter and resubmit the request." })
}
