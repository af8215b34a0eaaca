package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The rules of the tree that a compiler does not check.
const (
	module      = "github.com/xfrmctl/xfrmctl"
	maxFile     = 500 // lines, tests and tables in testdata exempt
	maxFunction = 80  // lines
)

// mayImport lists, for each package of the main module, what it may import of
// the others.
var mayImport = map[string][]string{
	"netlinkx":                   {},
	"netlinkx/netlinkxtest":      {"netlinkx"},
	"ifaces":                     {"ifaces/rtnl", "netlinkx"},
	"ifaces/rtnl":                {"netlinkx"},
	"gsogro":                     {"netlinkx"},
	"gsogro/segment":             {},
	"offload/userspace/esp":      {"netlinkx"},
	"offload/userspace/replay":   {"netlinkx"},
	"offload/userspace/encap":    {"netlinkx"},
	"offload/userspace/flow":     {"netlinkx", "gsogro/segment", "offload/userspace/xaddr"},
	"offload/userspace/pmtu":     {"netlinkx", "offload/userspace/flow", "gsogro/segment"},
	"offload/userspace/journal":  {},
	"offload/userspace/confine":  {},
	"offload/userspace/nlsock":   {"netlinkx"},
	"offload/userspace/xfrmstat": {},
	"offload/userspace/xaddr":    {"netlinkx"},
	"offload/userspace/sadb": {"netlinkx", "offload/userspace/flow", "offload/userspace/sadb/notice", "offload/userspace/sadb/rules", "offload/userspace/sadb/sad",
		"offload/userspace/sadb/spd", "offload/userspace/xaddr", "offload/userspace/xfrmstat"},
	"offload/userspace/sadb/spd": {"netlinkx", "offload/userspace/flow", "offload/userspace/sadb/classify", "offload/userspace/sadb/dump", "offload/userspace/sadb/lifetime",
		"offload/userspace/sadb/notice", "offload/userspace/sadb/rules", "offload/userspace/sadb/sad", "offload/userspace/xaddr"},
	"offload/userspace/sadb/sad": {"netlinkx", "offload/userspace/esp", "offload/userspace/flow", "offload/userspace/replay", "offload/userspace/sadb/dump",
		"offload/userspace/sadb/lifetime", "offload/userspace/sadb/notice", "offload/userspace/sadb/rcu", "offload/userspace/xaddr", "offload/userspace/xfrmstat"},
	"offload/userspace/sadb/lifetime":  {},
	"offload/userspace/sadb/notice":    {"netlinkx"},
	"offload/userspace/sadb/dump":      {},
	"offload/userspace/sadb/rcu":       {},
	"offload/userspace/sadb/classify":  {"netlinkx", "offload/userspace/sadb/rcu"},
	"offload/userspace/sadb/rules":     {"netlinkx", "offload/userspace/esp"},
	"offload/userspace/server":         {"netlinkx", "offload/userspace/nlsock", "offload/userspace/sadb", "offload/userspace/sadb/rules"},
	"offload/userspace/datapath/outer": {"netlinkx", "offload/userspace/xaddr"},
	"offload/userspace/datapath/tun":   {},
	"offload/userspace/datapath": {"netlinkx", "gsogro/segment", "offload/userspace/datapath/outer", "offload/userspace/datapath/tun", "offload/userspace/encap",
		"offload/userspace/esp", "offload/userspace/flow", "offload/userspace/pmtu", "offload/userspace/sadb", "offload/userspace/sadb/sad", "offload/userspace/xaddr", "offload/userspace/xfrmstat"},
	"offload/userspace": {"netlinkx", "offload/userspace/confine", "offload/userspace/datapath", "offload/userspace/datapath/outer", "offload/userspace/journal",
		"offload/userspace/nlsock", "offload/userspace/sadb", "offload/userspace/server", "offload/userspace/xfrmstat"},
	"provision":          {"gsogro", "ifaces", "ifaces/rtnl", "netlinkx", "offload"},
	"provision/keys":     {},
	"provision/vti":      {"ifaces", "ifaces/rtnl", "netlinkx", "provision"},
	"provision/document": {"gsogro", "ifaces", "netlinkx", "offload", "provision", "provision/keys"},
	"provision/rotate":   {"netlinkx", "provision", "provision/document", "provision/keys"},
	"provision/stamp":    {"ifaces/rtnl", "netlinkx", "provision"},
	"cmd/xfrmctl/apply": {"cmd/xfrmctl/ipxfrm", "gsogro", "ifaces", "ifaces/rtnl", "netlinkx", "offload", "provision", "provision/document", "provision/keys", "provision/rotate", "provision/stamp",
		"provision/watch"},
	"provision/networkd":     {"netlinkx", "provision"},
	"provision/export":       {"netlinkx", "provision", "provision/document", "provision/keys"},
	"cmd/xfrmctl/documents":  {"cmd/xfrmctl/ipxfrm", "ifaces", "netlinkx", "provision", "provision/document", "provision/export", "provision/keys", "provision/networkd"},
	"provision/watch":        {"ifaces/rtnl", "netlinkx", "provision"},
	"cmd/xfrmctl/ipxfrm":     {"netlinkx"},
	"cmd/xfrmctl/keycmd":     {"cmd/xfrmctl/apply", "cmd/xfrmctl/ipxfrm", "provision", "provision/document", "provision/keys", "provision/rotate"},
	"cmd/xfrmctl/demo":       {"ifaces", "netlinkx", "offload/userspace/nlsock"},
	"cmd/xfrmctl/verbs":      {"cmd/xfrmctl/ipxfrm"},
	"cmd/xfrmctl/vticmd":     {"cmd/xfrmctl/ipxfrm", "cmd/xfrmctl/verbs", "ifaces", "netlinkx", "provision/vti"},
	"cmd/xfrmctl/gro":        {"cmd/xfrmctl/ipxfrm", "cmd/xfrmctl/verbs", "gsogro", "netlinkx"},
	"offload":                {"gsogro", "netlinkx"},
	"offload/selftest":       {"netlinkx"},
	"cmd/xfrmctl/nicoffload": {"cmd/xfrmctl/ipxfrm", "cmd/xfrmctl/verbs", "gsogro", "netlinkx", "offload", "offload/selftest"},
	"cmd/xfrmctl": {"cmd/xfrmctl/apply", "cmd/xfrmctl/documents", "cmd/xfrmctl/keycmd", "cmd/xfrmctl/nicoffload", "provision", "provision/document", "cmd/xfrmctl/gro", "cmd/xfrmctl/verbs", "cmd/xfrmctl/vticmd", "provision/vti", "gsogro", "cmd/xfrmctl/ipxfrm", "cmd/xfrmctl/demo", "ifaces", "netlinkx",
		"offload/userspace", "offload/userspace/journal", "offload/userspace/nlsock", "offload"},
}

// source is one parsed file of the main module.
type source struct {
	path string // from the module's root, with slashes
	pkg  string // its folder
	file *ast.File
	fset *token.FileSet
	test bool
}

func sources(t *testing.T) (all []source) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() && (rel == "tests" || rel == "build" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		all = append(all, source{rel, filepath.ToSlash(filepath.Dir(rel)), f, fset, strings.HasSuffix(rel, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d source files found", len(all))
	}
	return all
}

func TestImportsGoOneWay(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := mayImport[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the import table", s.path, s.pkg)
			continue
		}
		for _, imp := range s.file.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			library := !strings.HasPrefix(s.pkg, "cmd/") // the program is for Linux alone
			if path == "golang.org/x/sys/unix" && library && !s.test && !strings.HasSuffix(s.path, "_linux.go") {
				t.Errorf("%s imports x/sys/unix: system calls belong into files named _linux.go", s.path)
			}
			own, ok := strings.CutPrefix(path, module+"/")
			if !ok || s.test && (own == s.pkg || strings.HasSuffix(own, "test")) {
				continue
			}
			if !contains(allowed, own) {
				t.Errorf("%s imports %s, which %s may not", s.path, own, s.pkg)
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if n := s.fset.Position(s.file.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines, more than %d: is there a second idea in it?", s.path, n, maxFile)
		}
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.fset.Position(fn.End()).Line - s.fset.Position(fn.Pos()).Line; n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, fn.Name.Name, n, maxFunction)
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s has an init function", s.path)
			}
		}
	}
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: %s has no comment", s.path, name)
			}
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment", pkg)
		}
	}
}

// undocumented names what d exports without a comment. A comment on a group of
// constants or variables is enough for all of them.
func undocumented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Names[0].Name)
				}
			}
		}
	}
	return names
}

// exportedReceiver reports whether a function or method can be seen outside.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if g, ok := typ.(*ast.IndexExpr); ok {
		typ = g.X
	}
	id, ok := typ.(*ast.Ident)
	return !ok || id.IsExported()
}

// TestDocsLinkToFilesThatExist follows the relative links of the documents.
func TestDocsLinkToFilesThatExist(t *testing.T) {
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "../../README.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range strings.Split(string(text), "](")[1:] {
			link, _, _ := strings.Cut(part, ")")
			link, _, _ = strings.Cut(link, "#")
			if link == "" || strings.Contains(link, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), link)); err != nil {
				t.Errorf("%s links to %s, which does not exist", doc, link)
			}
		}
	}
}
