//! HTML through a browser's parser, and Markdown through a CommonMark one: the shape of a document without the texts
//! in it, and the texts. No expectation lives here.

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use pulldown_cmark::{Event, Options, Parser, Tag};

/// A page.
pub(crate) struct Page {
    dom: RcDom,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Page {
        Page { dom: parse_document(RcDom::default(), ParseOpts::default()).one(text) }
    }

    /// What the parser had to put up with.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.dom.errors.borrow().iter().map(|error| error.to_string()).collect()
    }

    fn walk(&self, visit: &mut dyn FnMut(usize, &Handle)) {
        fn below(depth: usize, node: &Handle, visit: &mut dyn FnMut(usize, &Handle)) {
            visit(depth, node);
            node.children.borrow().iter().for_each(|child| below(depth + 1, child, visit));
        }
        below(0, &self.dom.document, visit);
    }

    /// Every element with all its attributes, every comment, in order and with its depth; no text.
    pub(crate) fn shape(&self) -> Vec<String> {
        let mut shape = Vec::new();
        self.walk(&mut |depth, node| match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes: Vec<String> = attrs
                    .borrow()
                    .iter()
                    .map(|attribute| format!(" {}={:?}", attribute.name.local, &*attribute.value))
                    .collect();
                shape.push(format!("{depth} <{}{}>", name.local, attributes.concat()));
            }
            NodeData::Comment { contents } => shape.push(format!("{depth} comment {contents}")),
            NodeData::ProcessingInstruction { target, .. } => shape.push(format!("{depth} <?{target}>")),
            NodeData::Doctype { name, .. } => shape.push(format!("{depth} doctype {name}")),
            NodeData::Document | NodeData::Text { .. } => {}
        });
        shape
    }

    /// The texts of the elements with this name and this value of an attribute (`""`: any).
    pub(crate) fn texts(&self, element: &str, attribute: &str, value: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.walk(&mut |_, node| {
            if let NodeData::Element { name, attrs, .. } = &node.data {
                let has = |attrs: &[html5ever::Attribute]| {
                    attrs.iter().any(|one| &*one.name.local == attribute && &*one.value == value)
                };
                if &*name.local == element && (attribute.is_empty() || has(&attrs.borrow())) {
                    found.push(text_of(node));
                }
            }
        });
        found
    }
}

fn text_of(node: &Handle) -> String {
    let mut text = match &node.data {
        NodeData::Text { contents } => contents.borrow().to_string(),
        _ => String::new(),
    };
    node.children.borrow().iter().for_each(|child| text.push_str(&text_of(child)));
    text
}

/// A document of Markdown.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// Every block and inline element in order; no text.
    pub(crate) shape: Vec<String>,
    /// What stands in code spans.
    pub(crate) code: Vec<String>,
    /// What stands outside of code.
    pub(crate) prose: Vec<String>,
    /// Cells of each row of each table.
    pub(crate) rows: Vec<usize>,
}

impl Document {
    pub(crate) fn parse(text: &str) -> Document {
        let mut document = Document::default();
        let mut in_block = false;
        for event in Parser::new_ext(text, Options::all()) {
            match event {
                Event::Start(tag) => {
                    in_block |= matches!(tag, Tag::CodeBlock(_));
                    match tag {
                        Tag::TableHead | Tag::TableRow => document.rows.push(0),
                        Tag::TableCell => *document.rows.last_mut().unwrap() += 1,
                        _ => {}
                    }
                    document.shape.push(format!("{tag:?}"));
                }
                Event::End(tag) => {
                    in_block = false;
                    document.shape.push(format!("/{tag:?}"));
                }
                Event::Code(text) => document.code.push(text.to_string()),
                Event::Text(text) if in_block => document.code.push(text.to_string()),
                Event::Text(text) => document.prose.push(text.to_string()),
                other => document.shape.push(format!("{other:?}")),
            }
        }
        document
    }
}
