// Package offload decides where an SA's cryptography runs, and says why:
//
//	NIC packet offload > NIC crypto offload > kernel software > userspace ESP
//
// Three parties must agree before a NIC does the work: the kernel, the device
// and its driver, and the SA. What drivers accept is data: the files in rules/,
// one for each driver, with the texts that the kernel answers with and what to
// do about each. Check compares an SA with them before the kernel is asked.
//
// No hardware was at hand when the rules were written: they come from the
// drivers' sources, and each names its place. netdevsim's were run.
//
// Everything in this package is a function of its arguments but for Prober,
// which asks a kernel, and Inventory, which asks it about its devices.
package offload
