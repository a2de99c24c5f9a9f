"""Scenarios of refused orders (R.n): 150=8, 39=8, 103 and a machine-readable code first in Text (58)."""

REFUSALS = """
# R.1 Unknown symbol
> D X work 38=1051 55=NOSUCH
< 8 X 150=8 39=8 14=0 151=0 103=1 code=unknown_symbol

# R.2 Unknown strategy
> D X work 38=1052 847=77
< 8 X 150=8 39=8 14=0 151=0 103=11 code=unknown_strategy

# R.3 No strategy
> D X work 38=1053 -847
< 8 X 150=8 39=8 14=0 151=0 103=99 code=missing_field

# R.4 A share as a percentage
> D X work 38=1054 MaxPctVol=15
< 8 X 150=8 39=8 14=0 151=0 103=99 code=bad_parameter

# R.5 Unknown parameter
> D X work 38=1055 Mood=good
< 8 X 150=8 39=8 14=0 151=0 103=99 code=unknown_parameter

# R.6 A parameter that the strategy needs is missing
> D X pov 38=1056
< 8 X 150=8 39=8 14=0 151=0 103=99 code=missing_parameter

# R.7 One parameter by two ways with two values
> D X pov 38=1057 849=0.1 TargetPctVol=0.2
< 8 X 150=8 39=8 14=0 151=0 103=99 code=contradictory_parameter

# R.8 A cap below the target
> D X pov 38=1058 849=0.2 MaxPctVol=0.1
< 8 X 150=8 39=8 14=0 151=0 103=99 code=contradictory_parameter

# R.9 A parameter that is not for the strategy
> D X work 38=1059 TargetPctVol=0.1
< 8 X 150=8 39=8 14=0 151=0 103=99 code=contradictory_parameter

# R.10 End before start
> D X work 38=1060 168=+15m 126=+5m
< 8 X 150=8 39=8 14=0 151=0 103=99 code=end_before_start

# R.11 End in the past
> D X work 38=1061 126=-5m
< 8 X 150=8 39=8 14=0 151=0 103=99 code=end_in_the_past

# R.12 A quantity that is no whole lot
> D X work 38=10.123456789
< 8 X 150=8 39=8 14=0 151=0 103=13 code=wrong_lot

# R.13 A quantity of 0
> D X work 38=0
< 8 X 150=8 39=8 14=0 151=0 103=13

# R.14 Too large
> D X work 38=999999999
< 8 X 150=8 39=8 14=0 151=0 103=3

# R.15 A limit order without a price
> D X work 38=1062 -44
< 8 X 150=8 39=8 14=0 151=0 103=99 code=missing_price

# R.16 A price off tick
> D X work 38=1063 44=1.00000001
< 8 X 150=8 39=8 14=0 151=0 103=99 code=wrong_tick

# R.17 A buy limit far above the market
> D X work 38=1 44=1000000
< 8 X 150=8 39=8 14=0 151=0 103=3 code=price_collar

# R.18 ICEBERG without DisplayQty
> D X iceberg 38=1064
< 8 X 150=8 39=8 14=0 151=0 103=99 code=missing_parameter

# R.19 ICEBERG without a limit
> D X iceberg 40=1 -44 38=1065 1138=100
< 8 X 150=8 39=8 14=0 151=0 103=99 code=missing_price

# R.20 A refused order's ClOrdID is used up
> D X work 38=1066 847=77
< 8 X 150=8 39=8 103=11
> D X work 38=1067
< 8 X 150=8 39=8 38=1066 14=0 151=0 103=6 code=duplicate_cl_ord_id
"""
