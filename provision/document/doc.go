// Package document reads the document that describes the tunnels between nodes,
// YAML or JSON, and turns it into what one of the nodes shall have.
//
// Every mistake is found before anything is touched, and named with file, line,
// column and an excerpt. The document holds no keys, only references to them.
//
// Start with Read and Document.Resolve.
package document
