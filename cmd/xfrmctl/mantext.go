package main

// manHead is roff: name, synopsis and description.
const manHead = `.TH XFRMCTL 8
.SH NAME
xfrmctl \- IPsec on Linux: SAs, policies, events and XFRM interfaces
.SH SYNOPSIS
.B xfrmctl
.RI [ OPTIONS ] " OBJECT " [ COMMAND " " ARGS ]
.br
.B xfrmctl
.RB [ \-force ]
.B \-batch
.I FILE
.SH DESCRIPTION
Takes the words of
.BR ip\-xfrm (8),
with the same abbreviations, number forms, defaults and exit codes, and some of its own.
Options come before the object: with one dash or two, as any beginning that is not another's, their value after a blank or =.
Keys are hidden in all output unless \-\-show\-keys is given.
`

// manTail is roff: what the command tree and the grammar do not know.
const manTail = `.SH KEYS
Wherever a key is expected, these are understood:
.TP
.B @FILE
the contents of a file: hex digits after 0x, other text, or bytes as they are
.TP
.B @\-
one line of standard input
.TP
.B env:NAME
a value of the environment
.TP
.B 0xHEX
hex digits; an odd number of them gets a zero in front
.TP
.I anything else
the bytes of the word itself
.PP
A key on the command line can be read by every user of the machine, and gives a warning.
.SH BATCH FILES
One command per line, without the name of the program and without options. A # cuts the rest of the line,
a backslash at its end continues it, quotes group a word where they begin it.
Consecutive add, update and delete commands of states and policies are sent together, up to 512 at a time.
Every line that fails is reported as FILE:LINE: message. Without \-force the batch ends behind the commands that were sent together with a failing one.
It is no transaction: what was done stays done. The exit status is that of the first line that failed.
.SH EXIT STATUS
.TP
.B 0
success
.TP
.B 1
a check before anything was sent failed, or found what it looks for (offload check, iface adopt, diff, verify, vti audit, demo);
no socket; no such interface; a list, deleteall or batch failed; interrupted (monitor and esp end with 0)
.TP
.B 2
the kernel refused a request; demo: this machine lacks what it needs
.TP
.B 255
words that cannot be understood
.SH NOTES
The kernel hashes SAs by family ^ reqid ^ (destination + source). Reqids that count up in step with the addresses put all SAs
into one chain, and each insertion walks it. Use one reqid, or reqids that have nothing to do with the addresses.
.SH SEE ALSO
.BR ip\-xfrm (8),
.BR ip\-link (8)
`
