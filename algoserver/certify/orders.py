"""Scenarios of orders: FIX 4.4 Volume 4 Appendix D under its own ids, and the strategies (T.n)."""

LIFE = """
# A.1.a Filled order: accepted with its plan in Text, then trades to the last share
> D X trade 38=200
< 8 X 150=0 39=0 38=200 14=0 151=200 6=0 58~TWAP
< fills X
> H X
< 8 X 150=I 39=2 14=200 151=0

# A.1.a-sell A sell order with a wish price that the market meets
> D X quick 38=21 54=2 IWouldPrice=0.01
< 8 X 150=0 39=0 14=0 151=21 54=2
< fills X

# I.1.a Fill or Kill order cannot be filled
> D X ioc 59=4 40=2 44=LOW 38=1021
< 8 X 150=0 39=0 14=0 151=1021
< 8 X 150=4 39=4 14=0 151=0 6=0

# I.1.b Immediate or Cancel order that cannot be hit
> D X ioc 40=2 44=LOW 38=1022
< 8 X 150=0 39=0 14=0 151=1022
< 8 X 150=4 39=4 14=0 151=0 6=0

# I.1.b-market Immediate or Cancel order at the market: what is shown trades, what is not is canceled
> D X ioc 38=122
< 8 X 150=0 39=0 14=0 151=122
< ends X

# B.1.a Cancel of a zero-filled order: Pending Cancel at once, then Canceled
> D X work 38=10000
< 8 X 150=0 39=0 14=0 151=10000 58~TWAP
> F Y 41=X
< 8 Y 41=X 150=6 39=6 38=10000 14=0 151=10000
< 8 Y 41=X 150=4 39=4 38=10000 14=0 151=0 6=0
> H X
< 8 150=I 39=4 14=0 151=0

# B.1.b Cancel of a part-filled order: trades that cross it carry the old ClOrdID
> D X trade 38=4000 126=+10m
< 8 X 150=0 39=0 14=0 151=4000
< fill X
> F Y 41=X
< 8 Y 41=X 150=6 39=6 14=cum 151=leaves
< 8 Y 41=X 150=4 39=4 14=cum 151=0

# B.1.c-canceled Cancel of an order that is canceled already: too late
> D X work 38=1023
< 8 X 150=0 39=0
> F Y 41=X
< 8 Y 41=X 150=6 39=6
< 8 Y 41=X 150=4 39=4
> F Z 41=X
< 9 Z 41=X 39=4 434=1 102=0 code=too_late

# B.1.c Cancel of an order that is filled: too late
> D X quick 38=23
< 8 X 150=0 39=0
< fills X
> F Y 41=X
< 9 Y 41=X 39=2 434=1 102=0 code=too_late

# B.1.f Cancel of an unknown order
> F Y 41=X
< 9 Y 41=X 37=NONE 39=8 434=1 102=1 code=unknown_order

# B.1.g Cancel whose ClOrdID was used before: refused, the order goes on
> D X work 38=1024
< 8 X 150=0 39=0
> F X 41=X
< 9 X 41=X 39=0 434=1 102=6 code=duplicate_cl_ord_id
> H X
< 8 X 150=I 39=0 14=0 151=1024

# F.1.a Duplicate ClOrdID: refused, with the first order's state
> D X work 38=1025
< 8 X 150=0 39=0 14=0 151=1025
> D X work 38=1500
< 8 X 150=8 39=0 38=1025 14=0 151=1025 103=6 code=duplicate_cl_ord_id
> H X
< 8 X 150=I 39=0 151=1025

# F.1.b PossResend: seen before is answered by the status, unseen is a new order
> D X work 38=1026
< 8 X 150=0 39=0 151=1026
> D X work 38=1026 97=Y
< 8 X 150=I 39=0 38=1026 14=0 151=1026
> D X work 38=2026
< 8 X 150=8 39=0 38=1026 103=6
> D Y work 38=1027 97=Y
< 8 Y 150=0 39=0 38=1027 14=0 151=1027

# F.1.d PossDup of an order that was taken: ignored
> D X work 38=1028
< 8 X 150=0 39=0
> D X work 38=1028 43=Y 122=NOW 34=1
> H X
< 8 X 150=I 39=0 38=1028 14=0 151=1028

# G.1.a Status request for an unknown order
> H Y 790=S1
< 8 Y 150=I 39=8 38=0 14=0 151=0 103=5 790=S1 37=NONE code=unknown_order

# G.1.b Status of an order with nothing done
> D X work 38=1029
< 8 X 150=0 39=0
> H X
< 8 X 150=I 39=0 14=0 151=1029

# G.1.c Status through the life of an order: new, part-filled, canceled
> D X trade 38=4001 126=+10m
< 8 X 150=0 39=0
> H X 790=S1
< 8 X 150=I 39=0|1 790=S1 14=cum 151=leaves
< fill X
> H X 790=S2
< 8 X 150=I 39=1 790=S2 14=cum 151=leaves
> F Y 41=X
< 8 Y 41=X 150=6 39=6
< 8 Y 41=X 150=4 39=4
> H X 790=S3
< 8 150=I 39=4 790=S3 14=cum 151=0
"""

STRATEGIES = """
# T.1 VWAP with its parameters by name
> D X vwap 38=1031 MaxPctVol=0.2 MinPctVol=0.01 Urgency=2 Completion=SOFT CatchUp=N
< 8 X 150=0 39=0 14=0 151=1031 58~VWAP

# T.1-tags VWAP with start, end and display quantity by standard tags
> D X vwap 38=1032 168=+1m 126=+30m 111=200
< 8 X 150=0 39=0 14=0 151=1032 58~VWAP

# T.2 POV with its target by tag 849
> D X pov 38=1033 849=0.1
< 8 X 150=0 39=0 14=0 151=1033 58~POV

# T.2-group POV with its target by name, cap and wish price
> D X pov 38=1034 TargetPctVol=0.1 MaxPctVol=0.2 IWouldPrice=1.00 IWouldPct=0.5
< 8 X 150=0 39=0 14=0 151=1034 58~POV

# T.3 IS with urgency, cap and completion
> D X is 38=1035 Urgency=4 MaxPctVol=0.2 Completion=HARD
< 8 X 150=0 39=0 14=0 151=1035 58~IS

# T.3-trades IS trades
> D X is 40=1 -44 38=201 126=+20s Urgency=5 MaxPctVol=1 Completion=HARD
< 8 X 150=0 39=0 14=0 151=201 58~IS
< fill X

# T.1001 TWAP with start, end and cap by name
> D X work -126 38=1036 StartTime=+1m EndTime=+20m MaxPctVol=0.15 Urgency=1
< 8 X 150=0 39=0 14=0 151=1036 58~TWAP

# T.1004 ICEBERG shows DisplayQty by tag 1138
> D X iceberg 38=1037 1138=100
< 8 X 150=0 39=0 14=0 151=1037 58~ICEBERG

# T.1004-maxfloor ICEBERG shows DisplayQty by tag 111
> D X iceberg 38=1038 111=100
< 8 X 150=0 39=0 14=0 151=1038 58~ICEBERG

# T.past A start in the past is now, an end that is left out the close
> D X work -126 38=1039 168=-5m
< 8 X 150=0 39=0 14=0 151=1039

# T.same One parameter by two ways with one value is no contradiction
> D X pov 38=1040 849=0.1 TargetPctVol=0.1
< 8 X 150=0 39=0 14=0 151=1040
"""
