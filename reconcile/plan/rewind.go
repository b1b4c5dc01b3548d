package plan

// Descent is what is known of the way from the revision that was applied last to
// the one that is wanted now.
type Descent struct {
	// Rewound says that the one is not among the ancestors of the other, in words;
	// empty when it is, or when that is not known.
	Rewound string
	// Unknown says why it is not known; empty when it is.
	Unknown string
}

// guardRewind holds back, or warns of, a revision after which what was reviewed
// before may be gone. Where nothing would be written, there is nothing to hold back.
func (p *Plan) guardRewind(in Input) {
	switch why := in.Descent; {
	case in.Rules.RefuseRewind && p.Acts() && why.Rewound != "":
		p.refuse(RefusedRewind, "%s", why.Rewound)
	case in.Rules.RefuseRewind && p.Acts() && why.Unknown != "":
		p.refuse(RefusedRewind, "it is not known whether the revision descends from the one that was applied last: %s", why.Unknown)
	case why.Rewound != "":
		p.Warnings = append(p.Warnings, why.Rewound)
	}
}
