"""The learning side: reads recorded data, writes models. The core sees of it only forecasts, as events.

Read in this order: volumes (what was traded), sources, rules and dataset (bars of any symbols, checked and kept), splits and days (what to know of
it), kalman (levels and season), rows (what was known before a bin), hybrid (the trees on the filter), bands (P10 and P90 that hold), walk (all of it
without seeing ahead), scores (is it better than the median), store (the model's directory), registry (many of them, and which one is meant), card and
plots (what a person looks at), train (all of it in a row), predict (who answers a request), median (who always can), judge (is one stored model
better than another).

And what trading costs: impact (the published formulas), cost (the model and its interval), terms (an order before it begins), executions (what
journals say that orders cost), cost_fit (a model of them).
"""
