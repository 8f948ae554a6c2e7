//! Text to syntax tree by minijinja's parser, with bounds that keep a hostile text from its stack and ours.

use super::ExpressionError;
use super::lower::{Lowered, Lowering, Piece};
use minijinja::machinery::{self, Token, ast};
use minijinja::syntax::SyntaxConfig;

/// How many words and signs an expression, or all those of one template, may have. Parser and evaluator descend into
/// chains such as `a.b.c` and `1 + 1 + 1`.
const TOKENS_MAX: usize = 512;
/// How many of them may open a deeper level. Minijinja's parser bounds parentheses, but not `not not not` or `---`.
const LEVELS_MAX: usize = 64;

/// Parse one expression.
pub(super) fn expression<'v>(text: &str, lowering: &mut Lowering<'v>) -> Lowered<'v> {
    lowering.not_in = bound(text, true, &SyntaxConfig::default())?;
    let tree = machinery::parse_expr(text).map_err(|e| syntax(&e))?;
    lowering.lower(&tree)
}

/// Parse a template into its pieces.
pub(super) fn template(text: &str, lowering: &mut Lowering) -> Result<Vec<Piece>, ExpressionError> {
    if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
        return Ok(vec![Piece::Raw(text.to_owned())]);
    }
    // Minijinja drops a last line end unless told otherwise; a hook's argument is what was written.
    let config = SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(|e| syntax(&e))?;
    lowering.not_in = bound(text, false, &config)?;
    let tree = machinery::parse(text, "template", config).map_err(|e| syntax(&e))?;
    let ast::Stmt::Template(root) = tree else { return Err(ExpressionError::at(0, "not a template".to_owned())) };
    root.children.iter().map(|child| lowering.piece(text, child)).collect()
}

/// Refuse what is too long or too deep. Gives the places of all `not in`.
fn bound(text: &str, in_expression: bool, config: &SyntaxConfig) -> Result<Vec<usize>, ExpressionError> {
    let (mut tokens, mut levels) = (0, 0);
    let (mut not_in, mut last_not) = (Vec::new(), None);
    for token in machinery::tokenize(text, in_expression, config.clone()) {
        let (token, span) = token.map_err(|e| syntax(&e))?;
        tokens += 1;
        let here = span.start_offset as usize;
        if matches!(token, Token::Ident("in")) {
            not_in.extend(last_not);
        }
        last_not = matches!(token, Token::Ident("not")).then_some(here);
        let opens = match token {
            Token::Minus | Token::Pow | Token::ParenOpen | Token::BracketOpen | Token::BraceOpen | Token::BlockStart => true,
            Token::Ident(word) => matches!(word, "not" | "if" | "else"),
            _ => false,
        };
        levels += usize::from(opens);
        if tokens > TOKENS_MAX || levels > LEVELS_MAX {
            let hint = Some("split it: several rules, or a variable".to_owned());
            let message =
                format!("too long: at most {TOKENS_MAX} words and signs, {LEVELS_MAX} of them brackets, `-`, `not`, `if` or `else`");
            return Err(ExpressionError { message, at: Some(here), hint });
        }
    }
    Ok(not_in)
}

fn syntax(error: &minijinja::Error) -> ExpressionError {
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    ExpressionError { message, at: error.range().map(|r| r.start), hint: None }
}
