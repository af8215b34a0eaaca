package document

import (
	"bytes"
	"encoding/json"
)

// form is what may stand at a place of a document, in the words of JSON Schema
// (draft 2020-12). Its fields are in the order in which people read them.
type form struct {
	Schema               string     `json:"$schema,omitempty"`
	ID                   string     `json:"$id,omitempty"`
	Title                string     `json:"title,omitempty"`
	Description          string     `json:"description,omitempty"`
	Type                 string     `json:"type,omitempty"`
	Const                any        `json:"const,omitempty"`
	Enum                 []string   `json:"enum,omitempty"`
	Default              any        `json:"default,omitempty"`
	Minimum              *uint64    `json:"minimum,omitempty"`
	Maximum              *uint64    `json:"maximum,omitempty"`
	MinLength            int        `json:"minLength,omitempty"`
	Pattern              string     `json:"pattern,omitempty"`
	Format               string     `json:"format,omitempty"`
	Not                  *form      `json:"not,omitempty"`
	AnyOf                []form     `json:"anyOf,omitempty"`
	MinItems             int        `json:"minItems,omitempty"`
	MaxItems             int        `json:"maxItems,omitempty"`
	Items                *form      `json:"items,omitempty"`
	MinProperties        int        `json:"minProperties,omitempty"`
	MaxProperties        int        `json:"maxProperties,omitempty"`
	Required             []string   `json:"required,omitempty"`
	Properties           properties `json:"properties,omitempty"`
	PropertyNames        *form      `json:"propertyNames,omitempty"`
	AdditionalProperties any        `json:"additionalProperties,omitempty"` // *form, or false
}

// property is a field of a mapping.
type property struct {
	name string
	form *form
}

// properties keep the order of the table that they come from.
type properties []property

// MarshalJSON returns an object.
func (p properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for k, x := range p {
		sep := byte(',')
		if k == 0 {
			sep = '{'
		}
		b.WriteByte(sep)
		name, err := json.Marshal(x.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(x.form)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// integer is a number between both.
func integer(low, high uint64) form {
	return form{Type: "integer", Minimum: &low, Maximum: &high}
}

// SchemaID names the schema. Nothing is to be fetched there.
const SchemaID = "https://github.com/xfrmctl/xfrmctl/provision/document/document.schema.json"

// Schema returns the JSON Schema (draft 2020-12) of documents. It comes from
// the tables that the reader follows. What needs more than one field to be
// judged, it lets pass; and it is stricter in one thing: text that YAML would
// take for a number has to be quoted.
func Schema() []byte {
	f := (&Document{Nodes: map[string]*Node{}}).rule().form()
	f.Schema, f.ID = "https://json-schema.org/draft/2020-12/schema", SchemaID
	f.Title = "Document of xfrmctl: tunnels between nodes"
	b, err := marshal(f)
	if err != nil {
		panic(err) // a table that is none
	}
	return b
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
