package netlinkx

// Request is one message to the kernel: a verb and a borrowed object. Requests
// are small values made by the functions below; the object must not change
// until the request has been sent. They are not safe for concurrent use with
// writes to the object.
type Request struct {
	typ   MsgType
	flags uint16 // besides NLM_F_REQUEST and NLM_F_ACK
	op    string
	body  body
}

// body is what a request carries: it appends the fixed part and the
// attributes of its message, and names itself without keys.
type body interface {
	appendTo(b []byte) ([]byte, error)
	String() string
}

// Op returns the verb and noun, for example "add sa".
func (r Request) Op() string { return r.op }

// Object names the object that the request is about, without keys.
func (r Request) Object() string {
	if r.body == nil {
		return ""
	}
	return r.body.String()
}

// Type returns the message type.
func (r Request) Type() MsgType { return r.typ }

// AddSA adds an SA; one with the same identity fails with fs.ErrExist.
func AddSA(sa *SA) Request { return Request{typ: MsgNewSA, op: "add sa", body: sa} }

// UpdateSA completes a larval SA, or changes the few things the kernel lets
// one change: limits, output mark, if_id, encapsulation ports.
func UpdateSA(sa *SA) Request { return Request{typ: MsgUpdSA, op: "update sa", body: sa} }

// DeleteSA deletes an SA.
func DeleteSA(id *SAID) Request { return Request{typ: MsgDelSA, op: "delete sa", body: id} }

// GetSA reads an SA; the answer is an SA message.
func GetSA(id *SAID) Request { return Request{typ: MsgGetSA, op: "get sa", body: id} }

// AllocSPI reserves an SPI; the answer is the larval SA.
func AllocSPI(r *SPIRange) Request { return Request{typ: MsgAllocSPI, op: "allocate", body: r} }

// FlushSAs deletes all SAs of a protocol, 0 for all protocols.
func FlushSAs(p Proto) Request { return Request{typ: MsgFlushSA, op: "flush sas", body: flushSA(p)} }

// AddPolicy adds a policy; one with the same identity fails with fs.ErrExist.
func AddPolicy(p *Policy) Request { return Request{typ: MsgNewPolicy, op: "add", body: p} }

// UpdatePolicy creates or replaces a policy and keeps its index.
func UpdatePolicy(p *Policy) Request { return Request{typ: MsgUpdPolicy, op: "update", body: p} }

// DeletePolicy deletes a policy.
func DeletePolicy(id *PolicyID) Request { return Request{typ: MsgDelPolicy, op: "delete", body: id} }

// GetPolicy reads a policy; the answer is a policy message.
func GetPolicy(id *PolicyID) Request { return Request{typ: MsgGetPolicy, op: "get", body: id} }

// FlushPolicies deletes all policies of a type but per-socket ones; absent: main.
func FlushPolicies(t Opt[PolicyType]) Request {
	return Request{typ: MsgFlushPolicy, op: "flush policies", body: flushPolicy(t)}
}

// GetSADInfo asks for SADInfo.
func GetSADInfo() Request {
	return Request{typ: MsgGetSADInfo, op: "get", body: infoRequest("sad info")}
}

// GetSPDInfo asks for SPDInfo.
func GetSPDInfo() Request {
	return Request{typ: MsgGetSPDInfo, op: "get", body: infoRequest("spd info")}
}

// SetSPDInfo sets the hash thresholds that are present in i.
func SetSPDInfo(i *SPDInfo) Request { return Request{typ: MsgNewSPDInfo, op: "set", body: i} }

// SetDefaults sets the default actions; DefaultUnchanged leaves one alone.
func SetDefaults(d *Defaults) Request { return Request{typ: MsgSetDefault, op: "set", body: d} }

// GetDefaults asks for the default actions.
func GetDefaults() Request { return Request{typ: MsgGetDefault, op: "get", body: &Defaults{}} }

// SetAE sets the replay state, counters and thresholds that are present in a.
// Dir and PCPU are reported only, and not sent.
func SetAE(a *AE) Request {
	return Request{typ: MsgNewAE, flags: flagReplace, op: "set", body: setAE{a}}
}

// GetAE asks for an SA's aevent.
func GetAE(id *AEID) Request { return Request{typ: MsgGetAE, op: "get", body: id} }

// MigratePolicy moves a policy and its SAs.
func MigratePolicy(m *Migrate) Request { return Request{typ: MsgMigrate, op: "start", body: m} }

// MigrateSA moves one SA (Linux 7.2).
func MigrateSA(m *MigrateState) Request {
	return Request{typ: MsgMigrateState, op: "start", body: m}
}

// Expire expires an SA. Its Dir and PCPU are not sent: the kernel refuses them
// in this message, and an SA that was read back may have them.
func Expire(e *ExpireSA) Request {
	return Request{typ: MsgExpire, op: "expire", body: expireSA{e}}
}

// ExpirePol expires a policy.
func ExpirePol(e *ExpirePolicy) Request { return Request{typ: MsgPolExpire, op: "expire", body: e} }

// RequestAcquire asks the other key managers for an SA.
func RequestAcquire(a *Acquire) Request { return Request{typ: MsgAcquire, op: "send", body: a} }
