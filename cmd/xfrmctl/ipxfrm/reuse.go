package ipxfrm

import "github.com/xfrmctl/xfrmctl/netlinkx"

// slot is the memory of one command, with what commands carry most often: one
// allocation in place of ten.
type slot struct {
	cmd       Command
	sa        netlinkx.SA
	policy    netlinkx.Policy
	id        idWords
	aead      netlinkx.AEAD
	crypt     netlinkx.Algo
	authTrunc netlinkx.AuthTrunc
	templates [1]netlinkx.Template
}

func (s *slot) newSA() *netlinkx.SA {
	s.sa.Limits = netlinkx.Unlimited()
	return &s.sa
}

func (s *slot) newPolicy() *netlinkx.Policy {
	s.policy.Limits = netlinkx.Unlimited()
	return &s.policy
}

// Parser parses one command after another, and uses memory again: for batches.
// It is for one goroutine.
type Parser struct {
	c     *Context
	p     parser
	slots []*slot
	used  int
}

// NewParser returns a Parser for commands in one context.
func NewParser(c *Context) *Parser { return &Parser{c: c} }

// Parse is the function Parse, but that the command and what it refers to are
// valid until Reset.
func (r *Parser) Parse(args []string) (*Command, error) {
	if r.used == len(r.slots) {
		r.slots = append(r.slots, &slot{})
	}
	s := r.slots[r.used]
	r.used++
	r.p.reset(r.c, s)
	cmd, err := r.p.parse(args)
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// Reset gives the memory of all commands back for later ones.
func (r *Parser) Reset() {
	for _, s := range r.slots[:r.used] {
		*s = slot{}
	}
	r.used = 0
}
