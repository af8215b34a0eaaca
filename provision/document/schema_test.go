package document

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write document.schema.json")

// TestSchemaIsCurrent: the file that is shipped is what the tables say.
func TestSchemaIsCurrent(t *testing.T) {
	const file = "document.schema.json"
	if *update {
		if err := os.WriteFile(file, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, Schema()) {
		t.Errorf("%s is not what the fields say: go test ./provision/document -run TestSchemaIsCurrent -update", file)
	}
}
