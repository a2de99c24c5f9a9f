"""The learning side: reads recorded data, writes models. The core sees of it only forecasts, as events.

Read in this order: volumes (what was traded), features (what was known), fit (the trees), predict (the curve),
evaluate (is it better than the median), store (the model's directory), train (all of it in a row).
"""
