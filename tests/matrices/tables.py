"""FIX 4.4 Appendix D scenarios as text: `scenario` says how a line reads. They are played to orders.py, the core and sockets."""

from tests.matrices.scenario import parse

A_1_A = """
# A.1.a Filled order
# who  act      n      report             cum    leaves  ids
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    1000   Trade/Partial      3000   7000    (X)
venue  trade    7000   Trade/Filled       10000  0       (X)
"""
A_1_B = """
# A.1.b Part-filled day order, done for day
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    1000   Trade/Partial      3000   7000    (X)
venue  done     0      DoneForDay/DoneForDay 3000 0      (X)
"""
B_1_A = """
# B.1.a Cancel request issued for a zero-filled order
client new      10000  New/New            0      10000   (X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_A_REFUSED = """
# B.1.a-refused Cancel request issued for a zero-filled order, refused
client new      10000  New/New            0      10000   (X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  refuse   0      CxlRej/New         0      10000   (Y,X)
"""
B_1_B = """
# B.1.b Cancel request issued for a part-filled order, executions occur whilst cancel request is active
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)      F(Y,X) is on its way
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    1000   Trade/PendCxl      6000   4000    (X)
venue  canceled 0      Canceled/Canceled  6000   0       (Y,X)
"""
B_1_B_REFUSED = """
# B.1.b-refused Cancel request issued for a part-filled order, refused
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    1000   Trade/PendCxl      6000   4000    (X)
venue  refuse   0      CxlRej/Partial     6000   4000    (Y,X)
"""
B_1_C = """
# B.1.c Cancel request issued for an order that becomes filled before cancel request can be accepted
client new      10000  New/New            0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  trade    5000   Trade/PendCxl      10000  0       (X)
venue  refuse   0      CxlRej/Filled      10000  0       (Y,X)    102=0 too late
"""
# The copy prints New/New at the acknowledgement; the precedence of the same standard says Pending Cancel (12 over 2).
B_1_D = """
# B.1.d Cancel request issued for an order that has not yet been acknowledged
client new      10000  -
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  accept   0      New/PendCxl        0      10000   (X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_D_NO_NEW = """
# B.1.d-no-new Cancel request issued for an order that is never acknowledged
client new      10000  -
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_E = """
# B.1.e Cancel request issued for an order that has not yet been acknowledged, the acknowledgement and the cancel request cross
client new      10000  New/New            0      10000   (X)      crosses F(Y,X)
client cancel   0      PendCxl/PendCxl    0      10000   (Y,X)
venue  canceled 0      Canceled/Canceled  0      0       (Y,X)
"""
B_1_F = """
# B.1.f Cancel request issued for an unknown order
client cancel   0      CxlRej/Rejected    0      0       (Y,X)    102=1, OrderID NONE
"""
F_1_A = """
# F.1.a Duplicate ClOrdID
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client again    15000  Rejected/Partial   1000   9000    (X)      103=6
"""
F_1_B = """
# F.1.b PossResend and duplicate ClOrdID
client new      10000  New/New            0      10000   (X)
client resend   10000  Status/New         0      10000   (X)      PossResend=Y, seen before
client again    20000  Rejected/New       0      10000   (X)      103=6
client resendY  10000  New/New            0      10000   (Y)      PossResend=Y, not seen before
"""
F_1_C = """
# F.1.c Order already submitted by voice: refused by the venue
client new      10000  Rejected/Rejected  0      0       (X)
"""
G_1_A = """
# G.1.a Status request rejected for unknown order
client new      10000  New/New            0      10000   (X)
client statusY  0      Status/Rejected    0      0       (Y)      103=5
"""
G_1_B = """
# G.1.b Transmitting a CMS-style "Nothing Done" in response to a status request
client new      10000  New/New            0      10000   (X)
client status   0      Status/New         0      10000   (X)      58=Nothing done
"""
G_1_C = """
# G.1.c Order sent, immediately followed by a status request; subsequent status requests sent during life of order
client new      10000  -
client status   0      Status/PendNew     0      10000   (X)
venue  accept   0      New/New            0      10000   (X)
client status   0      Status/New         0      10000   (X)
venue  trade    2000   Trade/Partial      2000   8000    (X)
client status   0      Status/Partial     2000   8000    (X)
venue  trade    3000   Trade/Partial      5000   5000    (X)
client status   0      Status/Partial     5000   5000    (X)
venue  trade    5000   Trade/Filled       10000  0       (X)
client status   0      Status/Filled      10000  0       (X)
"""
I_1_A = """
# I.1.a Fill or Kill order cannot be filled
client fok      10000  New/New            0      10000   (X)
venue  canceled 0      Canceled/Canceled  0      0       (X)
"""
I_1_B = """
# I.1.b Immediate or Cancel order that cannot be immediately hit
client ioc      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
venue  canceled 0      Canceled/Canceled  1000   0       (X)
"""
C_1_A = """
# C.1.a Zero-filled order, cancel/replace request issued to increase order qty
client new      10000  New/New            0      10000   (X)
client replace  11000  PendRep/PendRep    0      10000   (Y,X)
venue  replaced 11000  Replaced/New       0      11000   (Y,X)
venue  trade    1000   Trade/Partial      1000   10000   (Y)
"""
C_1_B = """
# C.1.b Part-filled order, followed by a cancel/replace request to increase order qty, execution occurs whilst order is pending replace
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client replace  12000  PendRep/PendRep    1000   9000    (Y,X)
venue  trade    100    Trade/PendRep      1100   8900    (X)
venue  replaced 12000  Replaced/Partial   1100   10900   (Y,X)
venue  trade    10900  Trade/Filled       12000  0       (Y)
"""
C_1_C = """
# C.1.c Filled order, followed by a cancel/replace request to increase order quantity
client new      10000  New/New            0      10000   (X)
venue  trade    10000  Trade/Filled       10000  0       (X)
client replace  12000  PendRep/PendRep    10000  0       (Y,X)
venue  replaced 12000  Replaced/Partial   10000  2000    (Y,X)
venue  trade    2000   Trade/Filled       12000  0       (Y)
"""
C_1_C_REFUSED = """
# C.1.c-refused Filled order, followed by a cancel/replace request to increase order quantity, refused
client new      10000  New/New            0      10000   (X)
venue  trade    10000  Trade/Filled       10000  0       (X)
client misreplace 12000 CxlRej/Filled     10000  0       (Y,X)    102=0 too late
"""
C_2_A = """
# C.2.a Cancel/replace request (not for quantity change) is rejected as a fill has occurred
client new      10000  New/New            0      10000   (X)
venue  trade    10000  Trade/Filled       10000  0       (X)      crosses G(Y,X)
client misreplace 10000 CxlRej/Filled     10000  0       (Y,X)    102=0 too late
"""
C_3_A = """
# C.3.a Cancel/replace request sent whilst execution is being reported, the requested order qty exceeds the cum qty
client new      10000  New/New            0      10000   (X)
venue  trade    1500   Trade/Partial      1500   8500    (X)      crosses G(Y,X)
client replace  8000   PendRep/PendRep    1500   8500    (Y,X)
venue  trade    100    Trade/PendRep      1600   8400    (X)
venue  replaced 8000   Replaced/Partial   1600   6400    (Y,X)
venue  trade    6400   Trade/Filled       8000   0       (Y)
"""
C_3_B = """
# C.3.b Cancel/replace request sent whilst execution is being reported, the requested order qty equals the cum qty
client new      10000  New/New            0      10000   (X)
venue  trade    7000   Trade/Partial      7000   3000    (X)      crosses G(Y,X)
client replace  7000   PendRep/PendRep    7000   3000    (Y,X)
venue  replaced 7000   Replaced/Filled    7000   0       (Y,X)
"""
C_3_C = """
# C.3.c Cancel/replace request sent whilst execution is being reported, the requested order qty is below cum qty
client new      10000  New/New            0      10000   (X)
venue  trade    8000   Trade/Partial      8000   2000    (X)      crosses G(Y,X)
client replace  7000   PendRep/PendRep    8000   2000    (Y,X)
venue  replaced 7000   Replaced/Filled    8000   0       (Y,X)    OrderQty becomes 8000
"""
D_1_A = """
# D.1.a One cancel/replace request is issued which is accepted, another one is issued which is also accepted
client new      10000  New/New            0      10000   (X)
client replace  8000   PendRep/PendRep    0      10000   (Y,X)
venue  trade    1000   Trade/PendRep      1000   9000    (X)
venue  replaced 8000   Replaced/Partial   1000   7000    (Y,X)
venue  trade    2000   Trade/Partial      3000   5000    (Y)
client replace  6000   PendRep/PendRep    3000   5000    (Z,Y)
venue  trade    2000   Trade/PendRep      5000   3000    (Y)
venue  replaced 6000   Replaced/Partial   5000   1000    (Z,Y)
venue  trade    1000   Trade/Filled       6000   0       (Z)
"""
D_1_B = """
# D.1.b One cancel/replace request is issued which is rejected before order becomes pending replace, then another one is issued which is accepted
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client misreplace 8000 CxlRej/Partial     1000   9000    (Y,X)
venue  trade    1000   Trade/Partial      2000   8000    (X)
client replace  7000   PendRep/PendRep    2000   8000    (Z,X)
venue  replaced 7000   Replaced/Partial   2000   5000    (Z,X)
venue  trade    5000   Trade/Filled       7000   0       (Z)
"""
D_1_C = """
# D.1.c One cancel/replace request is issued which is rejected after it is in pending replace, then another one is issued which is accepted
client new      10000  New/New            0      10000   (X)
client replace  8000   PendRep/PendRep    0      10000   (Y,X)
venue  trade    1000   Trade/PendRep      1000   9000    (X)
venue  irreplaced 0    CxlRej/Partial     1000   9000    (Y,X)
venue  trade    1000   Trade/Partial      2000   8000    (X)
client replace  7000   PendRep/PendRep    2000   8000    (Z,X)
venue  replaced 7000   Replaced/Partial   2000   5000    (Z,X)
venue  trade    5000   Trade/Filled       7000   0       (Z)
"""
D_2_A = """
# D.2.a One cancel/replace request is issued followed immediately by another; broker processes sequentially
client new      10000  New/New            0      10000   (X)
client replace  8000   PendRep/PendRep    0      10000   (Y,X)
venue  replaced 8000   Replaced/New       0      8000    (Y,X)
client replace  7000   PendRep/PendRep    0      8000    (Z,Y)
venue  replaced 7000   Replaced/New       0      7000    (Z,Y)
venue  trade    7000   Trade/Filled       7000   0       (Z)
"""
D_2_B = """
# D.2.b One cancel/replace request is issued followed immediately by another; broker processes pending replaces before replaces
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client replace  8000   PendRep/PendRep    1000   9000    (Y,X)
client replace  7000   PendRep/PendRep    1000   9000    (Z,X)
venue  replaced 8000   Replaced/PendRep   1000   7000    (Y,X)
venue  replaced 7000   Replaced/Partial   1000   6000    (Z,Y)
venue  trade    6000   Trade/Filled       7000   0       (Z)
"""
D_2_C = """
# D.2.c One cancel/replace request is issued followed immediately by another; both are rejected
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client replace  8000   PendRep/PendRep    1000   9000    (Y,X)
venue  irreplaced 0    CxlRej/Partial     1000   9000    (Y,X)
client replace  7000   PendRep/PendRep    1000   9000    (Z,X)
venue  irreplaced 0    CxlRej/Partial     1000   9000    (Z,X)
venue  trade    9000   Trade/Filled       10000  0       (X)
"""
D_2_D = """
# D.2.d One cancel/replace request is issued followed immediately by another; broker rejects the second as order is pending replace
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client replace  8000   PendRep/PendRep    1000   9000    (Y,X)
client misreplace 7000 CxlRej/PendRep     1000   9000    (Z,X)    102=3
venue  replaced 8000   Replaced/Partial   1000   7000    (Y,X)
venue  trade    7000   Trade/Filled       8000   0       (Y)
"""
E_1_B = """
# E.1.b Unsolicited cancel of a part-filled order
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
client phoned   0      -
venue  canceled 0      Canceled/Canceled  1000   0       (X)      378=2
"""
E_1_C = """
# E.1.c Unsolicited replacement of an order
client new      10000  New/New            0      10000   (X)
venue  restated 11000  Restated/New       0      11000   (X)      378=2
venue  trade    1000   Trade/Partial      1000   10000   (X)
venue  restated 12000  Restated/Partial   1000   11000   (X)      378=2
"""
E_1_D = """
# E.1.d Unsolicited reduction of order quantity by sell side
client new      10000  New/New            0      10000   (X)
venue  restated 9000   Restated/New       0      9000    (X)      378=5
venue  trade    9000   Trade/Filled       9000   0       (X)
"""
E_1_E = """
# E.1.e Unsolicited cancel of a 'cancel if not best' order
client new      10000  New/New            0      10000   (X)
venue  canceled 0      Canceled/Canceled  0      0       (X)      378=9
"""
J_1_A = """
# J.1.a Filled order, followed by correction and cancelation of executions
client new      10000  New/New            0      10000   (X)
venue  trade    1000   Trade/Partial      1000   9000    (X)
venue  trade    9000   Trade/Filled       10000  0       (X)
venue  correct  900    TradeCorrect/Partial 9900 100     (X)
venue  bust     0      TradeCancel/Partial 900   9100    (X)
venue  trade    9100   Trade/Filled       10000  0       (X)
"""
J_1_B = """
# J.1.b A canceled order followed by a bust and a new execution
client new      10000  New/New            0      10000   (X)
venue  trade    5000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  canceled 0      Canceled/Canceled  5000   0       (Y,X)
venue  bust     0      TradeCancel/Canceled 0    0       (X)
venue  trade    4000   Trade/Canceled     4000   0       (X)
"""
J_1_D = """
# J.1.d Part-filled order done for day followed by trade correction and bust
client new      10000  New/New            0      10000   (X)
venue  trade    5000   Trade/Partial      5000   5000    (X)
venue  done     0      DoneForDay/DoneForDay 5000 0      (X)
venue  correct  4000   TradeCorrect/DoneForDay 4000 0    (X)
venue  bust     0      TradeCancel/DoneForDay 0  0       (X)
"""
K_1_A = """
# K.1.a Trading halt, the order is reinstated after it (18=J)
client newJ     10000  New/New            0      10000   (X)
venue  halted   0      -
venue  resumed  0      -
venue  trade    10000  Trade/Filled       10000  0       (X)
"""
K_1_B = """
# K.1.b Trading halt, the order is canceled by it (18=K)
client newK     10000  New/New            0      10000   (X)
venue  halted   0      -
venue  canceled 0      Canceled/Canceled  0      0       (X)      378=6
venue  resumed  0      -
"""
D35 = """
# D35 FIX 4.2: a fill arrives after the order is canceled
client new      10000  New/New            0      10000   (X)
venue  trade    5000   Trade/Partial      5000   5000    (X)
client cancel   0      PendCxl/PendCxl    5000   5000    (Y,X)
venue  canceled 0      Canceled/Canceled  5000   0       (Y,X)
venue  trade    4000   Trade/Canceled     9000   0       (X)
"""
SCENARIOS = {
    s.id: s
    for s in map(
        parse,
        (A_1_A, A_1_B, B_1_A, B_1_A_REFUSED, B_1_B, B_1_B_REFUSED, B_1_C, B_1_D, B_1_D_NO_NEW, B_1_E, B_1_F, F_1_A, F_1_B, F_1_C,
         G_1_A, G_1_B, G_1_C, I_1_A, I_1_B, D35, C_1_A, C_1_B, C_1_C, C_1_C_REFUSED, C_2_A, C_3_A, C_3_B, C_3_C, D_1_A, D_1_B,
         D_1_C, D_2_A, D_2_B, D_2_C, D_2_D, E_1_B, E_1_C, E_1_D, E_1_E, J_1_A, J_1_B, J_1_D, K_1_A, K_1_B),
    )
}  # fmt: skip
