"""Scenarios of amends (C and D of FIX 4.4 Appendix D, C.n.x-y ours) and of mass cancel and mass status (M.n)."""

AMENDS = """
# C.1.a Increase of a zero-filled order: Pending Replace at once, then Replaced under the new ClOrdID
> D X work 38=10001
< 8 X 150=0 39=0 14=0 151=10001
> G Y 41=X 38=11000 847=1001
< 8 Y 41=X 150=E 39=E 38=10001 14=0 151=10001
< 8 Y 41=X 150=5 39=0 38=11000 14=0 151=11000 6=0
> H Y
< 8 Y 150=I 39=0 38=11000 14=0 151=11000
> H X
< 8 Y 150=I 39=0 38=11000 151=11000
> F Z 41=Y
< 8 Z 41=Y 150=6 39=6 38=11000
< 8 Z 41=Y 150=4 39=4 38=11000 14=0 151=0

# C.1.b Increase of a part-filled order
> D X trade 38=4002 126=+10m
< 8 X 150=0 39=0
< fill X
> G Y 41=X 40=1 -44 38=5002
< 8 Y 41=X 150=E 39=E 38=4002 14=cum 151=leaves
< 8 Y 41=X 150=5 39=1 38=5002 14=cum
< fill Y

# C.2.a Amend of an order that is filled: too late
> D X quick 38=24
< 8 X 150=0 39=0
< fills X
> G Y 41=X 38=24
< 9 Y 41=X 39=2 434=2 102=0

# C.2.b Amend of an order that is canceled: too late
> D X work 38=1071
< 8 X 150=0 39=0
> F Y 41=X
< 8 Y 150=6
< 8 Y 150=4
> G Z 41=X 38=2071
< 9 Z 41=X 39=4 434=2 102=0

# C.3.a Decrease above CumQty
> D X work 38=10002
< 8 X 150=0 39=0
> G Y 41=X 38=8000
< 8 Y 41=X 150=E 39=E 38=10002 14=0 151=10002
< 8 Y 41=X 150=5 39=0 38=8000 14=0 151=8000

# C.3.c Decrease below CumQty: OrderQty becomes CumQty, the order is filled
> D X trade 38=4003 126=+10m
< 8 X 150=0 39=0
< fill X
> G Y 41=X 40=1 -44 38=1
< 8 Y 41=X 150=E 39=E 38=4003 14=cum 151=leaves
< 8 Y 41=X 150=5 39=2 38=cum 14=cum 151=0

# C.4.price A new price alone
> D X work 38=1072
< 8 X 150=0 39=0
> G Y 41=X 44=1.01
< 8 Y 41=X 150=E 39=E 38=1072 14=0 151=1072
< 8 Y 41=X 150=5 39=0 38=1072 14=0 151=1072

# C.4.end A new end time alone
> D X work 38=1073
< 8 X 150=0 39=0
> G Y 41=X 126=+30m
< 8 Y 41=X 150=E 39=E 38=1073 14=0 151=1073
< 8 Y 41=X 150=5 39=0 38=1073 14=0 151=1073

# C.4.param A new algo parameter alone
> D X work 38=1074 Urgency=1
< 8 X 150=0 39=0
> G Y 41=X Urgency=4 MaxPctVol=0.2
< 8 Y 41=X 150=E 39=E 38=1074 14=0 151=1074
< 8 Y 41=X 150=5 39=0 38=1074 14=0 151=1074

# C.5.unknown Amend of an unknown order
> G Y 41=X 38=100
< 9 Y 41=X 37=NONE 39=8 434=2 102=1 code=unknown_order

# C.5.strategy Another strategy: refused, the order goes on
> D X work 38=1075
< 8 X 150=0 39=0
> G Y 41=X 847=1
? 8 Y 41=X 150=E 39=E 14=0 151=1075
< 9 Y 41=X 39=0 434=2 102=2|99
> H X
< 8 X 150=I 39=0 38=1075 14=0 151=1075

# C.5.side Another side: refused, the order goes on
> D X work 38=1076
< 8 X 150=0 39=0
> G Y 41=X 54=2
? 8 Y 41=X 150=E 39=E 14=0 151=1076
< 9 Y 41=X 39=0 434=2 102=2|99
> H X
< 8 X 150=I 39=0 38=1076 14=0 151=1076

# C.5.bad A bad parameter: refused, the order goes on
> D X work 38=1077
< 8 X 150=0 39=0
> G Y 41=X MaxPctVol=15
? 8 Y 41=X 150=E 39=E 14=0 151=1077
< 9 Y 41=X 39=0 434=2 102=2|99 code=bad_parameter
> H X
< 8 X 150=I 39=0 38=1077 14=0 151=1077

# C.5.duplicate A ClOrdID that was used before: refused, the order goes on
> D X work 38=1078
< 8 X 150=0 39=0
> G X 41=X 38=2078
< 9 X 41=X 39=0 434=2 102=6
> H X
< 8 X 150=I 39=0 38=1078 14=0 151=1078

# D.1.a Two amends in sequence: the second refers to the new ClOrdID
> D X work 38=10003
< 8 X 150=0 39=0
> G Y 41=X 38=8001
< 8 Y 41=X 150=E 39=E 38=10003 14=0 151=10003
< 8 Y 41=X 150=5 39=0 38=8001 14=0 151=8001
> G Z 41=Y 38=7001
< 8 Z 41=Y 150=E 39=E 38=8001 14=0 151=8001
< 8 Z 41=Y 150=5 39=0 38=7001 14=0 151=7001

# D.1.b First amend refused, second on the old ClOrdID accepted
> D X work 38=10004
< 8 X 150=0 39=0
> G Y 41=X 847=1
? 8 Y 41=X 150=E 39=E 14=0 151=10004
< 9 Y 41=X 39=0 434=2
> G Z 41=X 38=7002
< 8 Z 41=X 150=E 39=E 38=10004 14=0 151=10004
< 8 Z 41=X 150=5 39=0 38=7002 14=0 151=7002
"""

MASS = """
# M.1 Mass cancel by security
> D X work 38=1081
< 8 X 150=0 39=0
> D Y work 38=1082
< 8 Y 150=0 39=0
> q M 530=1 55=SYMBOL
< r M 530=1 531=1 533>=2 37=*
< canceled X by M
< canceled Y by M

# M.2 Mass cancel of everything
> D X work 38=1083
< 8 X 150=0 39=0
> q M 530=7
< r M 530=7 531=7 533>=1 37=*
< canceled X by M

# M.3 Mass cancel for an unknown security: refused
> q M 530=1 55=NOSUCH
< r M 530=1 531=0 532=1

# M.4 Mass status: every open order, each once
> D X work 38=1084
< 8 X 150=0 39=0
> D Y work 38=1085
< 8 Y 150=0 39=0
> AF M 585=7
< statuses M X Y

# M.5 Mass status by security
> D X work 38=1086
< 8 X 150=0 39=0
> AF M 585=1 55=SYMBOL
< statuses M X
"""
