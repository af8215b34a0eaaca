package offload

import "fmt"

// Link is one link of the chain kernel → device → driver → SA.
type Link struct {
	Rung Rung   `json:"rung"`
	Part string `json:"part"` // kernel, device, driver, sa, userspace
	OK   bool   `json:"ok"`
	// Maybe: the rule depends on what cannot be seen (firmware).
	Maybe bool   `json:"maybe,omitempty"`
	Rule  string `json:"rule,omitempty"`
	// Source is where the rule comes from, Kernels the range that has it.
	Source  string `json:"source,omitempty"`
	Kernels string `json:"kernels,omitempty"`
	Why     string `json:"why"`
	Fix     string `json:"fix,omitempty"`
}

// ruleLink is the link that a broken rule is.
func ruleLink(part string, v Violation) Link {
	return Link{
		Part: part, Maybe: v.Rule.Depends != "", Rule: v.Rule.ID, Source: v.Rule.Source, Kernels: v.Rule.Kernels,
		Why: v.Have, Fix: v.Rule.Fix,
	}
}

func kernelLink(what string, o Outcome) Link {
	l := Link{Part: "kernel", OK: o.OK, Maybe: !o.Known, Why: what + " is there", Fix: o.Fix}
	switch {
	case !o.Known:
		l.Why = "whether " + what + " is there could not be found out: " + o.Why
	case !o.OK:
		l.Why = what + " is not there: " + o.Why
	}
	return l
}

func deviceLink(n *NIC) Link {
	driver := "driver " + n.Driver
	if n.Driver == "" {
		driver = "no driver"
	}
	l := Link{Part: "device", OK: n.HW, Why: fmt.Sprintf("%s (%s): esp-hw-offload is %s%s", n.Name, driver, n.HWState, n.Eswitch)}
	if n.HW && n.Blocked != "" {
		return Link{Part: "device", Why: n.Blocked, Fix: "route the packets of the SA through " + n.Name + " itself"}
	}
	if !n.HW {
		l.Fix = "use a device whose driver offloads ESP: xfrmctl offload show"
	}
	return l
}

// driverLink: what a driver of which nothing is known does, only the kernel's
// answer will tell.
func driverLink(driver string, pack *Pack, t Type) Link {
	l := Link{Part: "driver", Why: fmt.Sprintf("driver %s does %s offload", driver, t)}
	switch {
	case pack == nil:
		l.Maybe, l.Why = true, fmt.Sprintf("nothing is known of driver %q: only the kernel's answer will tell", driver)
	case pack.Types[t] == "":
		l.Why, l.Fix = fmt.Sprintf("driver %s does no %s offload", driver, t), "ask for another type of offload"
	default:
		l.OK = true
	}
	return l
}
