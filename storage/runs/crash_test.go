package runs

const crashChildEnv = "HOLDFAST_RUNS_CRASH_CHILD"

func crashChild() {}
