package faults_test

// scenario is a story in whose midst a run is killed. In all texts, $W is the name of the world.
type scenario struct {
	name string
	// apps is the list of apps as the configuration has it. Objects that name no namespace go to W-a.
	apps string
	// exist are ConfigMaps that were in W-a before Tidemark came.
	exist []string
	// trees are the commits.
	trees []tree
	// before are the commits that runs bring to the cluster first.
	before []int
	// dying is the commit of a run that dies with its first write to the cluster on its lips, so that the killed run is one
	// that takes over from it; 0: there is none.
	dying int
	// killed is the commit of the run that is killed, and exit how that run ends when it is not.
	killed, exit int
	// after is the commit that clean runs then bring.
	after int
	// wired: the network can be made bad.
	wired bool
}

const oneApp = `
apps:
- {name: one, namespace: $W-a, source: {path: one}}
`

// unchecked is an app whose objects the server is not asked about before the first write.
const unchecked = `
apps:
- {name: one, namespace: $W-a, source: {path: one}, validate: none}
`

const twoApps = `
apps:
- {name: one, namespace: $W-a, source: {path: one}}
- {name: two, namespace: $W-a, source: {path: two}}
`

func scenarios() []*scenario {
	return []*scenario{
		{
			name: "first install", apps: oneApp, trees: []tree{calm},
		},
		{
			name: "nothing changed", apps: oneApp, trees: []tree{calm}, before: []int{0},
		},
		{
			name: "change", apps: oneApp, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, rough},
		},
		{
			name: "add and remove", apps: oneApp, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, calm.with(tree{
				"one/doomed.yaml": "", "one/token.yaml": "", "one/gamma.yaml": configMap("gamma", "new"), "one/delta.yaml": configMap("delta", "new"),
			})},
		},
		{
			name: "rename", apps: oneApp, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, calm.with(tree{"one/alpha.yaml": configMap("alpha-two", "low"), "one/token.yaml": secret("token-two", "v1")})},
		},
		{
			name: "move to another namespace", apps: oneApp, before: []int{0}, killed: 1, after: 1,
			trees: []tree{
				{"one/all.yaml": all(configMapIn("$W-a", "alpha", "low"), configMapIn("$W-a", "beta", "low"), configMapIn("$W-a", "stays", "low"))},
				{"one/all.yaml": all(configMapIn("$W-b", "alpha", "low"), configMapIn("$W-b", "beta", "low"), configMapIn("$W-a", "stays", "low"))},
			},
		},
		{
			name: "definition and resources", apps: oneApp,
			trees: []tree{{"one/crd.yaml": tides("height"), "one/alpha.yaml": configMap("alpha", "low"), "one/tides.yaml": all(tide("spring", "7"), tide("neap", "3"))}},
		},
		{
			name: "definition and resources change", apps: oneApp, before: []int{0}, killed: 1, after: 1,
			trees: []tree{
				{"one/crd.yaml": tides("height"), "one/alpha.yaml": configMap("alpha", "low"), "one/tides.yaml": all(tide("spring", "7"), tide("neap", "3"))},
				{"one/crd.yaml": tides("height", "hours"), "one/alpha.yaml": configMap("alpha", "low"), "one/tides.yaml": all(tide("spring", "8"), tide("ebb", "1"))},
			},
		},
		{
			name: "two apps, and an object that changes hands", apps: twoApps, before: []int{0}, killed: 1, after: 1,
			trees: []tree{
				calm.with(tree{"two/gamma.yaml": configMap("gamma", "low")}),
				rough.with(tree{"one/beta.yaml": "", "two/beta.yaml": configMap("beta", "low"), "two/gamma.yaml": configMap("gamma", "high"), "two/delta.yaml": configMap("delta", "new")}),
			},
		},
		{
			name: "adoption", apps: oneApp, exist: []string{"gamma"}, before: []int{0}, killed: 1, after: 1,
			trees: []tree{calm, calm.with(tree{"one/gamma.yaml": configMap("gamma", "mine-now")})},
		},
		{
			name: "partial failure, then a fix", apps: unchecked, before: []int{0}, killed: 1, exit: 11, after: 2,
			trees: []tree{
				calm,
				rough.with(tree{"one/doomed.yaml": "", "one/gamma.yaml": configMap("gamma", "new"), "one/bad.yaml": service("bad", "99999")}),
				rough.with(tree{"one/doomed.yaml": "", "one/delta.yaml": configMap("delta", "new")}),
			},
		},
		{
			name: "another commit meanwhile", apps: oneApp, before: []int{0}, killed: 1, after: 2,
			trees: []tree{calm, rough.with(tree{"one/gamma.yaml": configMap("gamma", "for-a-moment")}), rough.with(tree{"one/alpha.yaml": configMap("alpha", "higher")})},
		},
		{
			name: "taken back meanwhile", apps: oneApp, before: []int{0}, killed: 1, after: 0,
			trees: []tree{calm, rough.with(tree{"one/doomed.yaml": ""})},
		},
		{
			name: "take-over", apps: oneApp, before: []int{0}, dying: 1, killed: 1, after: 1,
			trees: []tree{calm, rough.with(tree{"one/doomed.yaml": "", "one/gamma.yaml": configMap("gamma", "new")})},
		},
		{
			name: "take-over with another commit", apps: oneApp, before: []int{0}, dying: 1, killed: 2, after: 2,
			trees: []tree{calm, rough.with(tree{"one/gamma.yaml": configMap("gamma", "for-a-moment")}), calm.with(tree{"one/doomed.yaml": "", "one/delta.yaml": configMap("delta", "new")})},
		},
	}
}
